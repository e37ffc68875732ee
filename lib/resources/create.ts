import { type AccessContext, type Kind, type KubernetesObject, validateObjectMeta } from "#api/meta";
import { ApiError, alreadyExists, badRequest, clone, isReason, nameSuffix } from "#base";
import { Exists } from "#store";
import { accessContext } from "./access.ts";
import { admissionRequest, admitted, validate } from "./admission.ts";
import { type Call, kindOf, named, warn } from "./call.ts";
import { keyOf, objectAs } from "./objects.ts";
import { answerReview } from "./review.ts";
import { setOnCreate } from "./system-fields.ts";
import {
  atRevision,
  contentOf,
  dedupOwners,
  foundBy,
  refuse,
  setDefaults,
  setNamespace,
  type WithStatus,
  type Written,
} from "./write.ts";

const nameAttempts = 8;
const longestBase = 58;

/**
 * Creates an object (which it changes): system fields, defaults, mutating admission, the kind's guard and validation,
 * validating admission, the store. Throws AlreadyExists, Invalid, and what admission refuses with.
 */
export async function createObject(call: Call, object: KubernetesObject): Promise<Written> {
  const { resources } = call;
  const kind = kindOf(call);
  if (kind.answer) return { object: await answerReview(call, object) };
  object.metadata ??= {};
  const { metadata } = object;
  const { name: sentName } = metadata;
  if (metadata.resourceVersion && metadata.resourceVersion !== "0") {
    throw badRequest("resourceVersion should not be set on objects to be created");
  }
  setNamespace(call, object);
  dedupOwners(call, object, "");
  setOnCreate(resources, kind, metadata);
  const status = kind.subresources?.["status"];
  if (status?.type === "status" && !kind.keepsStatusOnCreate) delete (object as WithStatus).status;
  setDefaults(kind, object);
  for (let attempt = 1; ; attempt++) {
    if (!sentName && metadata.generateName) {
      metadata.name = metadata.generateName.slice(0, longestBase) + nameSuffix(resources.random);
    }
    try {
      // What admission fills in belongs to one name: each attempt begins with what was sent.
      const withName = { ...call, name: metadata.name ?? "" };
      return await createNamed(withName, sentName ? object : clone(object), accessContext(call));
    } catch (error) {
      if (!metadata.generateName || !isReason(error, "AlreadyExists")) throw error;
      if (sentName || attempt === nameAttempts) throw noNameLeft(kind, metadata.name ?? "");
    }
  }
}

/** Upstream's answer when every generated name was taken: the client may try again. */
function noNameLeft(kind: Kind, name: string): Error {
  const { status } = alreadyExists(named(kind), name);
  const message = `${status.message}, the server was not able to generate a unique name for the object`;
  return new ApiError(409, "AlreadyExists", message, { ...status.details, retryAfterSeconds: 1 });
}

function createNamed(call: Call, object: KubernetesObject, access: AccessContext): Promise<Written> {
  const { resources, resource } = call;
  const { kind } = resource;
  const name = object.metadata.name ?? "";
  const request = admissionRequest(call, "CREATE", { object });
  return admitted(call, request, async (write) => {
    dedupOwners(call, object, "admission");
    await kind.guard?.(object, undefined, access);
    const warnClient = (text: string) => warn(call, [text]);
    kind.prepareForCreate?.(object, { now: resources.clock.now(), user: call.user, warn: warnClient });
    refuse(kind, name, () => [
      ...validateObjectMeta(kind, object.metadata),
      ...(kind.validate?.(object) ?? []),
      ...(kind.validateCreate?.(object) ?? []),
    ]);
    const warnings = foundBy(() => kind.warnings?.(object, undefined) ?? []);
    warn(call, warnings);
    await validate(call, request);
    const key = keyOf(object.metadata.namespace, name);
    const result = await write.commit({ type: "create", key, ...contentOf(call, object) });
    if (result === undefined) return { object };
    if (result instanceof Exists) {
      const { deletionTimestamp } = objectAs(resources, resource, result.entry).metadata;
      throw deletionTimestamp && !object.metadata.generateName
        ? stillBeingDeleted(kind, name)
        : alreadyExists(named(kind), name);
    }
    if (result instanceof Error) throw result;
    return { object: atRevision(object, result.revision), entry: result };
  });
}

/** Upstream's answer to a client that creates an object again before it has been deleted. */
function stillBeingDeleted(kind: Kind, name: string): Error {
  const error = alreadyExists(named(kind), name);
  error.status.message = `object is being deleted: ${error.message}`;
  return error;
}
