import { type Kind, type KubernetesObject, type ObjectMeta, validateObjectMetaUpdate } from "#api/meta";
import { type ApiError, badRequest, clone, conflict, deepEqual, invalid } from "#base";
import { Conflict, type Entry } from "#store";
import { accessContext } from "./access.ts";
import { admissionRequest, admitted, validate } from "./admission.ts";
import { type Call, kindOf, named, warn } from "./call.ts";
import { createObject } from "./create.ts";
import { checkPreconditions, retry } from "./retry.ts";
import { keepOnUpdate } from "./system-fields.ts";
import {
  atRevision,
  contentOf,
  dedupOwners,
  foundBy,
  isRemovable,
  refuse,
  setDefaults,
  setNamespace,
  type WithStatus,
  type Written,
} from "./write.ts";

const modified = "the object has been modified; please apply your changes to the latest version and try again";

/** How an update creates the new object. */
export interface ObjectUpdate {
  /** Returns the new object, built from the stored one, which it must not change. Called again after a lost race. */
  next(current: KubernetesObject): Promise<KubernetesObject> | KubernetesObject;
  /** The object to create where none exists and the kind allows PUT to create. */
  create?: () => KubernetesObject;
  /** The uid that was sent with the object, which the stored one must have. Defaults to any. */
  uid?: string | undefined;
  /** `next` applies a patch to the stored object. */
  isPatch?: true;
  /**
   * Replaces the kind's own preparation. `scale` changes the replicas, and the object is then validated like any update;
   * a `command` has prepared and validated the object itself.
   */
  preparedBy?: "scale" | "command";
}

/**
 * Updates an object or one of its subresources: defaults, mutating admission, the kind's guard and validation,
 * validating admission, the store. Retries after lost races unless the client sent a resourceVersion.
 */
export function updateObject(call: Call, update: ObjectUpdate): Promise<Written> {
  const { create } = update;
  const absent = create && kindOf(call).createOnUpdate ? () => createByUpdate(call, create()) : undefined;
  return retry(call, "update", (entry, current) => updateOnce(call, update, { entry, current }), absent);
}

/** PUT of an object that does not exist: created under the name of the path, unless the request names a uid. */
async function createByUpdate(call: Call, object: KubernetesObject): Promise<Written> {
  const { metadata } = object;
  const absent: KubernetesObject = { metadata: { uid: "", resourceVersion: "" } };
  checkPreconditions(call, absent);
  checkPreconditions(call, absent, { uid: metadata.uid || undefined });
  metadata.name = call.name;
  delete metadata.resourceVersion;
  return { ...(await createObject(call, object)), created: true };
}

async function updateOnce(
  call: Call,
  update: ObjectUpdate,
  { entry, current }: { entry: Entry; current: KubernetesObject },
): Promise<Written | Conflict> {
  const next = await update.next(current);
  checkIdentity(call, next, current, update);
  if (!update.isPatch) dedupOwners(call, next, "");
  prepare(call, next, current, update);
  const request = admissionRequest(call, "UPDATE", { object: next, previous: current });
  return admitted(call, request, async (write) => {
    dedupOwners(call, next, "admission");
    await kindOf(call).guard?.(next, current, accessContext(call));
    if (update.preparedBy !== "command") checkUpdate(call, next, current);
    await validate(call, request);
    if (deepEqual(next, current)) {
      write.unchanged();
      return { object: current, entry };
    }
    const removed = isRemovable(kindOf(call), next);
    const content = { key: entry.key, expected: entry.revision, ...contentOf(call, next) };
    const result = await write.commit({ type: removed ? "delete" : "update", ...content });
    if (result === undefined) return { object: next };
    if (result instanceof Conflict) return result;
    if (result instanceof Error) throw result;
    return { object: atRevision(next, result.revision), entry: result, ...(removed ? { deleted: true } : {}) };
  });
}

/**
 * The object that was sent must have the name of the request, and its namespace where it has one. Throws ApiError 400
 * in upstream's words.
 */
export function checkSent(call: Call, object: { metadata?: ObjectMeta }): void {
  object.metadata ??= {};
  const { metadata } = object;
  if (!metadata.name) throw nameless(call.name);
  if (metadata.name !== call.name) {
    throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${call.name})`);
  }
  setNamespace(call, { metadata });
}

/** Upstream's error for an object without a name. */
export const nameless = (name: string): ApiError =>
  badRequest(`the name of the object (${name} based on URL) was undeterminable: name must be provided`);

/** The object that was sent must be the one that the request names, at the revision that it carries. */
function checkIdentity(call: Call, next: KubernetesObject, current: KubernetesObject, update: ObjectUpdate): void {
  const kind = kindOf(call);
  checkSent(call, next);
  checkPreconditions(call, current, { uid: update.uid });
  const revision = next.metadata.resourceVersion;
  if (revision && revision !== "0") {
    if (!/^\d+$/.test(revision)) {
      throw badRequest(
        `invalid resource version "${revision}": strconv.ParseUint: parsing "${revision}": invalid syntax`,
      );
    }
    if (revision !== current.metadata.resourceVersion) throw conflict(named(kind), call.name, modified);
  } else if (kind.conditionalUpdate) {
    const cause = {
      reason: "FieldValueInvalid",
      field: "metadata.resourceVersion",
      message: "Invalid value: 0: must be specified for an update",
    };
    // Upstream names the resource where other errors name the kind.
    throw invalid({ group: kind.group, kind: kind.plural }, call.name, [cause]);
  }
}

function prepare(call: Call, next: KubernetesObject, current: KubernetesObject, { preparedBy }: ObjectUpdate): void {
  const kind = kindOf(call);
  keepOnUpdate(next.metadata, current.metadata);
  if (preparedBy) {
    if (preparedBy === "scale") raiseGeneration(kind, next, current);
    return;
  }
  setDefaults(kind, next);
  const part = call.subresource === "" ? undefined : kind.subresources?.[call.subresource];
  const context = { now: call.resources.clock.now(), user: call.user };
  if (part?.type === "status") {
    keepAllButStatus(next, current);
    part.prepare?.(next, current, context);
    return;
  }
  if (part?.type === "partialUpdate") {
    part.prepare(next, current, context);
    return;
  }
  if (kind.subresources?.["status"]?.type === "status") copyMember(next, current, "status");
  kind.prepareForUpdate?.(next, current, context);
  raiseGeneration(kind, next, current);
}

function copyMember(next: object, current: object, member: string): void {
  const value = (current as Record<string, unknown>)[member];
  if (value === undefined) delete (next as Record<string, unknown>)[member];
  else (next as Record<string, unknown>)[member] = clone(value);
}

/** A status write keeps the stored object, but for the status and the metadata that clients own. */
function keepAllButStatus(next: WithStatus, current: WithStatus): void {
  for (const member of new Set([...Object.keys(next), ...Object.keys(current)])) {
    if (member !== "status" && member !== "metadata") copyMember(next, current, member);
  }
  const { labels, annotations, finalizers, uid, deletionTimestamp } = next.metadata;
  next.metadata = clone(current.metadata);
  // Validation refuses other values of these.
  if (uid !== undefined) next.metadata.uid = uid;
  if (deletionTimestamp !== undefined) next.metadata.deletionTimestamp = deletionTimestamp;
  for (const [member, value] of Object.entries({ labels, annotations, finalizers })) {
    if (value === undefined) delete next.metadata[member as "labels"];
    else Object.assign(next.metadata, { [member]: value });
  }
}

function raiseGeneration(kind: Kind, next: KubernetesObject, current: KubernetesObject): void {
  if (!kind.generation || deepEqual(kind.generation(next), kind.generation(current))) return;
  next.metadata.generation = Number(current.metadata.generation ?? 0) + 1;
}

function checkUpdate(call: Call, next: KubernetesObject, current: KubernetesObject): void {
  const kind = kindOf(call);
  const part = call.subresource === "" ? undefined : kind.subresources?.[call.subresource];
  const isPart = part?.type === "status" || part?.type === "partialUpdate";
  refuse(kind, call.name, () => [
    ...validateObjectMetaUpdate(kind, next.metadata, current.metadata),
    ...((isPart ? part.validate?.(next, current) : kind.validate?.(next)) ?? []),
    ...((isPart ? undefined : kind.validateUpdate?.(next, current)) ?? []),
  ]);
  if (part?.type === "partialUpdate") return;
  const find = () => (part?.type === "status" ? part.warnings?.(next) : kind.warnings?.(next, current)) ?? [];
  warn(call, foundBy(find));
}
