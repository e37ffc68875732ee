import {
  applyDefaults,
  type FieldError,
  type Kind,
  type KubernetesObject,
  messageShapeOf,
  type ObjectMeta,
  validateObjectMeta,
  validateObjectMetaUpdate,
} from "#api/meta";
import {
  alreadyExists,
  badRequest,
  clone,
  conflict,
  deepEqual,
  formatTime,
  invalid,
  isReason,
  nameSuffix,
  notFound,
  serverTimeout,
  uuid,
} from "#base";
import { Conflict, type Entry, Exists, type Write } from "#store";
import { bodyOf, indexOf, keyOf, objectAs, schemaOf } from "./objects.ts";
import { admissionRequest, type Call, kindOf, mutate, named, readEntry, settle, undo, validate } from "./server.ts";

/** What stands after a write; `entry` is undefined for a dry run. */
export interface Written {
  object: KubernetesObject;
  entry?: Entry;
  /** The write deleted the object: its last finalizer is gone. */
  deleted?: true;
}

const modified = "the object has been modified; please apply your changes to the latest version and try again";

/** Fills absent fields: what the schema says first, then what the kind derives. */
export function setDefaults(kind: Kind, object: KubernetesObject): void {
  applyDefaults(messageShapeOf(kind.schema), object);
  kind.defaults?.(object);
}

function refuse(kind: Kind, name: string, errors: FieldError[]): void {
  if (errors.length > 0) throw invalid(kind, name, errors);
}

/** The place of an object must be the place that the request names; what the object leaves out is filled in. */
function place(call: Call, object: KubernetesObject): void {
  const kind = kindOf(call);
  const { metadata } = object;
  if (kind.scope === "Cluster") {
    if (metadata.namespace) delete metadata.namespace;
    return;
  }
  if (metadata.namespace && metadata.namespace !== call.namespace) {
    throw badRequest("the namespace of the provided object does not match the namespace sent on the request");
  }
  metadata.namespace = call.namespace;
}

/** Puts an object's body into a write. */
const content = (call: Call, object: KubernetesObject) => {
  const { kind, storageKind } = call.resource;
  const stored = kind.stored ? kind.stored.to(object) : object;
  return { body: bodyOf(stored), schema: schemaOf(storageKind), index: indexOf(storageKind, stored) };
};

async function commit(call: Call, write: Write): Promise<Entry | Exists | Conflict> {
  const [result] = await call.server.store.commit(call.resource.type, [write]);
  return result!;
}

const atRevision = (object: KubernetesObject, revision: number): KubernetesObject => ({
  ...object,
  metadata: { ...object.metadata, resourceVersion: String(revision) },
});

const nameAttempts = 8;
const longestBase = 58;

/** Creates an object (which it changes). Throws AlreadyExists, Invalid, and what admission refuses with. */
export async function createObject(call: Call, object: KubernetesObject): Promise<Written> {
  const { server } = call;
  const kind = kindOf(call);
  object.metadata ??= {};
  const { metadata } = object;
  const wanted = metadata.name;
  if (metadata.resourceVersion && metadata.resourceVersion !== "0") {
    throw badRequest("resourceVersion should not be set on objects to be created");
  }
  place(call, object);
  systemFields(call, object);
  const status = kind.subresources?.["status"];
  if (status?.type === "status" && !kind.keepsStatusOnCreate) delete (object as WithStatus).status;
  setDefaults(kind, object);
  for (let attempt = 1; ; attempt++) {
    if (!wanted && metadata.generateName) {
      metadata.name = metadata.generateName.slice(0, longestBase) + nameSuffix(server.random);
    }
    try {
      return await createNamed({ ...call, name: metadata.name ?? "" }, object);
    } catch (error) {
      if (wanted || !metadata.generateName || !isReason(error, "AlreadyExists")) throw error;
      if (attempt === nameAttempts) throw error;
    }
  }
}

async function createNamed(call: Call, object: KubernetesObject): Promise<Written> {
  const { server } = call;
  const kind = kindOf(call);
  const name = object.metadata.name ?? "";
  const request = admissionRequest(call, "CREATE", { object });
  await mutate(server, request);
  let outcome: "refused" | "unknown" | "stands" = "refused";
  try {
    kind.prepareForCreate?.(object, { now: server.clock.now() });
    const errors = [...(kind.validate?.(object) ?? []), ...(kind.validateCreate?.(object) ?? [])];
    refuse(kind, name, [...validateObjectMeta(kind, object.metadata), ...errors]);
    call.warnings.push(...(kind.warnings?.(object, undefined) ?? []));
    await validate(server, request);
    const key = keyOf(object.metadata.namespace, name);
    if (call.dryRun) {
      if (await readEntry(server, call.resource.type, key)) throw alreadyExists(named(kind), name);
      return { object };
    }
    outcome = "unknown";
    const result = await commit(call, { type: "create", key, ...content(call, object) });
    outcome = result instanceof Error ? "refused" : "stands";
    if (result instanceof Exists) {
      const there = objectAs(kind, call.resource.storageKind, result.entry);
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
    "generation",
    "selfLink",
    "managedFields",
  ] as const) {
    delete metadata[field];
  }
  if (kindOf(call).generation) metadata.generation = 1;
}

/** Metadata that only the server sets: whatever was sent, the stored values stand. */
function keepSystemFields(metadata: ObjectMeta, previous: ObjectMeta): void {
  const fields = [
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "selfLink",
    "managedFields",
    "generateName",
  ] as const;
  for (const field of fields) {
    if (previous[field] === undefined) delete metadata[field];
    else Object.assign(metadata, { [field]: previous[field] });
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
  /** Preconditions besides those that the object itself carries. */
  uid?: string | undefined;
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
      if (options.create && kind.createOnUpdate) return createObject(call, options.create());
      throw notFound(named(kind), name);
    }
    const result = await updateOnce(call, options, known);
    if (!(result instanceof Conflict)) return result;
    known = result.entry;
  }
  throw serverTimeout(named(kind), "update", 1);
}

async function updateOnce(call: Call, options: UpdateOptions, entry: Entry): Promise<Written | Conflict> {
  const { server, resource } = call;
  const kind = kindOf(call);
  const current = objectAs(kind, resource.storageKind, entry);
  const next = await options.next(current);
  checkIdentity(call, next, current, options);
  prepareUpdate(call, next, current, options);
  const request = admissionRequest(call, "UPDATE", { object: next, previous: current });
  await mutate(server, request);
  // What was prepared is taken back only when the write surely does not stand; repair finds the rest.
  let outcome: "refused" | "unknown" | "stands" = "refused";
  try {
    if (options.whole !== "action") checkUpdate(call, next, current);
    await validate(server, request);
    if (deepEqual(next, current)) {
      outcome = "stands";
      return { object: current, entry };
    }
    const going = mayGo(kind, next);
    if (call.dryRun) return { object: next };
    const write = { key: entry.key, expected: entry.revision, ...content(call, next) };
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

/** The object that was sent must be the one that the request names, at the revision that it carries. */
function checkIdentity(call: Call, next: KubernetesObject, current: KubernetesObject, options: UpdateOptions): void {
  const kind = kindOf(call);
  const resource = named(kind);
  next.metadata ??= {};
  const { metadata } = next;
  if (metadata.name && metadata.name !== call.name) {
    throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${call.name})`);
  }
  place(call, next);
  const uid = options.uid ?? (metadata.uid || undefined);
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
    throw invalid(kind, call.name, [cause]);
  }
}

type WithStatus = KubernetesObject & { status?: unknown };

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
  const { labels, annotations, finalizers } = next.metadata;
  next.metadata = clone(current.metadata);
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
  const errors = validateObjectMetaUpdate(kind, next.metadata, current.metadata);
  const part = call.subresource === "" ? undefined : kind.subresources?.[call.subresource];
  if (part?.type === "status" || part?.type === "part") errors.push(...(part.validate?.(next, current) ?? []));
  else errors.push(...(kind.validate?.(next) ?? []), ...(kind.validateUpdate?.(next, current) ?? []));
  refuse(kind, call.name, errors);
  call.warnings.push(...(kind.warnings?.(next, current) ?? []));
}

/** Whether an object that is being deleted has nothing left to wait for. */
export function mayGo(kind: Kind, object: KubernetesObject): boolean {
  const { metadata } = object;
  if (!metadata.deletionTimestamp || metadata.finalizers?.length) return false;
  if (kind.gracePeriod && Number(metadata.deletionGracePeriodSeconds ?? 0) > 0) return false;
  return kind.mayGo?.(object) ?? true;
}

export { content as contentOf };
