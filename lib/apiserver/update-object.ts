import { type Kind, type KubernetesObject, type ObjectMeta, validateObjectMetaUpdate } from "#api/meta";
import { type ApiError, badRequest, clone, conflict, deepEqual, invalid, notFound, serverTimeout } from "#base";
import { Conflict, type Entry } from "#store";
import { accessContext } from "./access.ts";
import { createObject } from "./create-object.ts";
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
  mayGo,
  place,
  refuse,
  setDefaults,
  type WithStatus,
  type Written,
} from "./write.ts";

const modified = "the object has been modified; please apply your changes to the latest version and try again";

/**
 * Metadata that only the server sets, as upstream's BeforeUpdate: some fields stand whatever was sent, others where
 * they were left out. Another value of the latter is refused by validation.
 */
function keepSystemFields(metadata: ObjectMeta, previous: ObjectMeta): void {
  for (const field of ["creationTimestamp", "generation", "selfLink", "managedFields"] as const) {
    if (previous[field] === undefined) delete metadata[field];
    else Object.assign(metadata, { [field]: previous[field] });
  }
  if (previous.uid !== undefined) metadata.uid ||= previous.uid;
  if (previous.deletionTimestamp !== undefined) metadata.deletionTimestamp = previous.deletionTimestamp;
  if (previous.deletionGracePeriodSeconds !== undefined) {
    metadata.deletionGracePeriodSeconds ??= previous.deletionGracePeriodSeconds;
  }
  metadata.name = previous.name;
  if (previous.namespace !== undefined) metadata.namespace = previous.namespace;
  metadata.resourceVersion = previous.resourceVersion;
}

export interface UpdateOptions {
  /** Makes the wanted object of the stored one, which it must not change. Called again after each lost race. */
  next(current: KubernetesObject): Promise<KubernetesObject> | KubernetesObject;
  /** Given when PUT may create what is not there. */
  create?: () => KubernetesObject;
  /** The uid that the stored object must have; any where it is undefined. */
  uid?: string | undefined;
  /** What is wanted was made of the stored object by a patch, not sent whole. */
  patches?: true;
  /**
   * Where the standard strategy does not apply the object comes as it should be: by a `scale` it is checked like any
   * update, by an `action` the action has checked it.
   */
  whole?: "scale" | "action";
}

const updateAttempts = 30;

/** Updates an object or one of its subresources; retries when others write meanwhile and the client pinned nothing. */
export async function updateObject(call: Call, options: UpdateOptions): Promise<Written> {
  const { server, resource, name } = call;
  const kind = kindOf(call);
  const key = keyOf(call.namespace, name);
  let known: Entry | undefined = await readEntry(server, resource.type, key);
  for (let attempt = 1; attempt <= updateAttempts; attempt++) {
    if (!known) {
      if (options.create && kind.createOnUpdate) return createByUpdate(call, options.create());
      throw notFound(named(kind), name);
    }
    const result = await updateOnce(call, options, known);
    if (!(result instanceof Conflict)) return result;
    known = result.entry;
  }
  throw serverTimeout(named(kind), "update", 1);
}

/** PUT of what is not there: under the name of the path, and never in place of an object that is known by its uid. */
async function createByUpdate(call: Call, object: KubernetesObject): Promise<Written> {
  const { metadata } = object;
  if (metadata.uid) {
    const why = `Precondition failed: UID in precondition: ${metadata.uid}, UID in object meta: `;
    throw conflict(named(kindOf(call)), call.name, why);
  }
  metadata.name = call.name;
  delete metadata.resourceVersion;
  return { ...(await createObject(call, object)), created: true };
}

async function updateOnce(call: Call, options: UpdateOptions, entry: Entry): Promise<Written | Conflict> {
  const { server, resource } = call;
  const kind = kindOf(call);
  const current = objectAs(server, resource, entry);
  const next = await options.next(current);
  checkIdentity(call, next, current, options);
  if (!options.patches) dedupOwners(call, next, "");
  prepareUpdate(call, next, current, options);
  const request = admissionRequest(call, "UPDATE", { object: next, previous: current });
  await mutate(server, request);
  dedupOwners(call, next, "admission");
  // What was prepared is taken back only when the write surely does not stand; repair finds the rest.
  let outcome: "refused" | "unknown" | "stands" = "refused";
  try {
    await kind.guard?.(next, current, accessContext(call));
    if (options.whole !== "action") checkUpdate(call, next, current);
    await validate(server, request);
    if (deepEqual(next, current)) {
      outcome = "stands";
      return { object: current, entry };
    }
    const going = mayGo(kind, next);
    if (call.dryRun) return { object: next };
    const write = { key: entry.key, expected: entry.revision, ...contentOf(call, next) };
    outcome = "unknown";
    const result = await commit(call, { type: going ? "delete" : "update", ...write });
    outcome = result instanceof Error ? "refused" : "stands";
    if (result instanceof Conflict) return result;
    if (result instanceof Error) throw result;
    return { object: atRevision(next, result.revision), entry: result, ...(going ? { deleted: true as const } : {}) };
  } finally {
    if (outcome === "stands") await settle(server, request);
    else if (outcome === "refused") await undo(server, request);
  }
}

/**
 * What was sent must carry the name that the request names, and its namespace where it has one. Throws ApiError 400 in
 * upstream's words: an object without a name is one whose metadata was lost on its way.
 */
export function checkSent(call: Call, object: { metadata?: ObjectMeta }): void {
  object.metadata ??= {};
  const { metadata } = object;
  if (!metadata.name) throw nameless(call.name);
  if (metadata.name !== call.name) {
    throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${call.name})`);
  }
  place(call, { metadata });
}

/** Upstream's words for an object in which there is no name. */
export const nameless = (name: string): ApiError =>
  badRequest(`the name of the object (${name} based on URL) was undeterminable: name must be provided`);

/** The object that was sent must be the one that the request names, at the revision that it carries. */
function checkIdentity(call: Call, next: KubernetesObject, current: KubernetesObject, options: UpdateOptions): void {
  const kind = kindOf(call);
  const resource = named(kind);
  checkSent(call, next);
  const { metadata } = next;
  const { uid } = options;
  if (uid !== undefined && uid !== current.metadata.uid) {
    const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${current.metadata.uid}`;
    throw conflict(resource, call.name, why);
  }
  const revision = metadata.resourceVersion;
  if (revision && revision !== "0") {
    if (!/^\d+$/.test(revision)) {
      throw badRequest(
        `invalid resource version "${revision}": strconv.ParseUint: parsing "${revision}": invalid syntax`,
      );
    }
    if (revision !== current.metadata.resourceVersion) throw conflict(resource, call.name, modified);
  } else if (kind.conditionalUpdate) {
    const cause = {
      reason: "FieldValueInvalid",
      field: "metadata.resourceVersion",
      message: "Invalid value: 0: must be specified for an update",
    };
    // Upstream names the resource where others name the kind.
    throw invalid({ group: kind.group, kind: kind.plural }, call.name, [cause]);
  }
}

function prepareUpdate(call: Call, next: KubernetesObject, current: KubernetesObject, options: UpdateOptions): void {
  const kind = kindOf(call);
  const context = { now: call.server.clock.now() };
  keepSystemFields(next.metadata, current.metadata);
  if (options.whole) {
    if (options.whole === "scale") raiseGeneration(kind, next, current);
    return;
  }
  const part = call.subresource === "" ? undefined : kind.subresources?.[call.subresource];
  if (part?.type === "status") {
    setDefaults(kind, next);
    keepAllButStatus(next, current);
    part.prepare?.(next, current);
    return;
  }
  setDefaults(kind, next);
  if (part?.type === "part") {
    part.prepare(next, current);
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

/** A status write: everything but the status and the metadata that people own stays as it is stored. */
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
  const isPart = part?.type === "status" || part?.type === "part";
  refuse(kind, call.name, () => [
    ...validateObjectMetaUpdate(kind, next.metadata, current.metadata),
    ...((isPart ? part.validate?.(next, current) : kind.validate?.(next)) ?? []),
    ...((isPart ? undefined : kind.validateUpdate?.(next, current)) ?? []),
  ]);
  if (part?.type === "part") return;
  const find = () => (part?.type === "status" ? part.warnings?.(next) : kind.warnings?.(next, current)) ?? [];
  warn(call, foundBy(find));
}
