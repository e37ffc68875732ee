import type { AccessContext, KubernetesObject } from "#api/meta";
import { internalError } from "#base";
import { admissionRequest, type Call, kindOf, mutate, validate } from "./server.ts";
import { place, refuse, setDefaults } from "./write.ts";

/** What a kind's hooks may ask about the rights of whoever sent the request, and of others. */
export function accessContext({ server, user, namespace, name }: Call): AccessContext {
  return {
    user,
    namespace,
    name,
    now: server.clock.now(),
    authorize: async (attributes) => server.authorize(attributes),
    rulesFor: async (asker, place) =>
      (await server.rules?.rulesFor(asker, place)) ?? { rules: [], incomplete: true, error: "" },
    rulesOf: async (role, place) => (await server.rules?.rulesOf(role, place)) ?? [],
  };
}

/** Answers a question that was posted: checked and admitted like a new object, and never kept. */
export async function answerQuestion(call: Call, object: KubernetesObject): Promise<KubernetesObject> {
  const kind = kindOf(call);
  if (!kind.answer) throw internalError(`${kind.kind} has no answers`);
  object.metadata ??= {};
  place(call, object);
  for (const field of [
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
  ] as const) {
    delete object.metadata[field];
  }
  setDefaults(kind, object);
  const request = admissionRequest(call, "CREATE", { object });
  await mutate(call.server, request);
  refuse(kind, "", kind.validate?.(object) ?? []);
  await validate(call.server, request);
  return kind.answer(object, accessContext(call));
}
