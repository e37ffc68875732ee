import type { AccessContext, KubernetesObject, TokenVerdict } from "#api/meta";
import { internalError, invalid, isReason, unsupported } from "#base";
import { admissionRequest, type Call, kindOf, mutate, type Server, validate } from "./server.ts";
import { foundBy, place, setDefaults } from "./write.ts";

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
    async issueToken(account, wish) {
      if (!server.tokens) throw unsupported("issuing tokens");
      return server.tokens.issue(account, wish);
    },
    reviewToken: (token, audiences) => reviewToken(server, token, audiences),
  };
}

const nobodys = "invalid bearer token";

/** Looks at a token as the authenticators do; those who know nothing of audiences know tokens for the API alone. */
async function reviewToken(server: Server, token: string, audiences: readonly string[]): Promise<TokenVerdict> {
  const own = server.tokens?.audience;
  const asked = audiences.length === 0 && own !== undefined ? [own] : audiences;
  const verdict = await server.tokens?.review(token, asked);
  if (verdict) return "error" in verdict ? { error: `[${nobodys}, ${verdict.error}]` } : verdict;
  if (own !== undefined && !asked.includes(own)) return { error: nobodys };
  try {
    for (const authenticator of server.authenticators) {
      const user = await authenticator({ headers: { authorization: `Bearer ${token}` } });
      if (user) return { user, audiences: own === undefined ? [] : [own] };
    }
  } catch (error) {
    if (!isReason(error, "Unauthorized")) throw error;
  }
  return { error: nobodys };
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
  const errors = foundBy(() => kind.validate?.(object) ?? []);
  // Upstream names no kind where it refuses a question.
  if (errors.length > 0) throw invalid({ group: kind.group, kind: "" }, "", errors);
  await validate(call.server, request);
  return kind.answer(object, accessContext(call));
}
