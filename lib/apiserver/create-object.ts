import { type AccessContext, type Kind, type KubernetesObject, validateObjectMeta } from "#api/meta";
import { ApiError, alreadyExists, badRequest, clone, formatTime, isReason, nameSuffix, uuid } from "#base";
import { Exists } from "#store";
import { accessContext, answerQuestion } from "./access.ts";
import { keyOf, objectAs } from "./objects.ts";
import {
  admissionRequest,
  type Call,
  kindOf,
  mutate,
  named,
  readEntry,
  settle,
  undo,
  validate,
  warn,
} from "./server.ts";
import {
  atRevision,
  commit,
  contentOf,
  dedupOwners,
  foundBy,
  place,
  refuse,
  setDefaults,
  type WithStatus,
  type Written,
} from "./write.ts";

const nameAttempts = 8;
const longestBase = 58;

/** Creates an object (which it changes). Throws AlreadyExists, Invalid, and what admission refuses with. */
export async function createObject(call: Call, object: KubernetesObject): Promise<Written> {
  const { server } = call;
  const kind = kindOf(call);
  if (kind.answer) return { object: await answerQuestion(call, object) };
  object.metadata ??= {};
  const { metadata } = object;
  const wanted = metadata.name;
  if (metadata.resourceVersion && metadata.resourceVersion !== "0") {
    throw badRequest("resourceVersion should not be set on objects to be created");
  }
  place(call, object);
  dedupOwners(call, object, "");
  systemFields(call, object);
  const status = kind.subresources?.["status"];
  if (status?.type === "status" && !kind.keepsStatusOnCreate) delete (object as WithStatus).status;
  setDefaults(kind, object);
  for (let attempt = 1; ; attempt++) {
    if (!wanted && metadata.generateName) {
      metadata.name = metadata.generateName.slice(0, longestBase) + nameSuffix(server.random);
    }
    try {
      // What admission fills in belongs to one name: each attempt begins with what was sent.
      const named = { ...call, name: metadata.name ?? "" };
      return await createNamed(named, wanted ? object : clone(object), accessContext(call));
    } catch (error) {
      if (!metadata.generateName || !isReason(error, "AlreadyExists")) throw error;
      if (wanted || attempt === nameAttempts) throw noNameLeft(kind, metadata.name ?? "");
    }
  }
}

/** Upstream's answer when every made-up name was taken: the client may try again. */
function noNameLeft(kind: Kind, name: string): Error {
  const { status } = alreadyExists(named(kind), name);
  const message = `${status.message}, the server was not able to generate a unique name for the object`;
  return new ApiError(409, "AlreadyExists", message, { ...status.details, retryAfterSeconds: 1 });
}

async function createNamed(call: Call, object: KubernetesObject, access: AccessContext): Promise<Written> {
  const { server } = call;
  const kind = kindOf(call);
  const name = object.metadata.name ?? "";
  const request = admissionRequest(call, "CREATE", { object });
  await mutate(server, request);
  dedupOwners(call, object, "admission");
  let outcome: "refused" | "unknown" | "stands" = "refused";
  try {
    await kind.guard?.(object, undefined, access);
    kind.prepareForCreate?.(object, {
      now: server.clock.now(),
      warn: (text) => warn(call, [text]),
    });
    refuse(kind, name, () => [
      ...validateObjectMeta(kind, object.metadata),
      ...(kind.validate?.(object) ?? []),
      ...(kind.validateCreate?.(object) ?? []),
    ]);
    warn(
      call,
      foundBy(() => kind.warnings?.(object, undefined) ?? []),
    );
    await validate(server, request);
    const key = keyOf(object.metadata.namespace, name);
    if (call.dryRun) {
      if (await readEntry(server, call.resource.type, key)) throw alreadyExists(named(kind), name);
      return { object };
    }
    outcome = "unknown";
    const result = await commit(call, { type: "create", key, ...contentOf(call, object) });
    outcome = result instanceof Error ? "refused" : "stands";
    if (result instanceof Exists) {
      const there = objectAs(server, call.resource, result.entry);
      if (there.metadata.deletionTimestamp && !object.metadata.generateName) {
        throw conflictOfDeleted(kind, name);
      }
      throw alreadyExists(named(kind), name);
    }
    if (result instanceof Error) throw result;
    return { object: atRevision(object, result.revision), entry: result };
  } finally {
    if (outcome === "stands") await settle(server, request);
    else if (outcome === "refused") await undo(server, request);
  }
}

/** Upstream tells who creates an object again while it is still going. */
function conflictOfDeleted(kind: Kind, name: string): Error {
  const error = alreadyExists(named(kind), name);
  error.status.message = `object is being deleted: ${error.message}`;
  return error;
}

function systemFields(call: Call, object: KubernetesObject): void {
  const { server } = call;
  const { metadata } = object;
  metadata.uid = uuid(server.random);
  metadata.creationTimestamp = formatTime(server.clock.now());
  for (const field of [
    "resourceVersion",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "managedFields",
  ] as const) {
    delete metadata[field];
  }
  if (kindOf(call).generation) metadata.generation = 1;
}
