import { applyDefaults, type FieldError, fillZeros, type Kind, type KubernetesObject } from "#api/meta";
import { badRequest, invalid, requestEntityTooLarge, stringifyJson } from "#base";
import { type Conflict, type Entry, Exists, type Write } from "#store";
import { type Call, kindOf } from "./call.ts";
import { bodyOf, indexOf, schemaOf } from "./objects.ts";

export type WithStatus = KubernetesObject & { status?: unknown };

/** The result of a write; `entry` is undefined for a dry run. */
export interface Written {
  object: KubernetesObject;
  entry?: Entry;
  /** The write deleted the object: its last finalizer is gone. */
  deleted?: true;
  /** An update found no object and created it. */
  created?: true;
}

/** Fills absent fields: zero values and the schema's defaults first, then those that the kind derives. */
export function setDefaults(kind: Kind, object: KubernetesObject): void {
  fillZeros(kind.shape, object);
  applyDefaults(kind.shape, object);
  kind.defaults?.(object);
}

/**
 * The faults that a kind's rules find in an object. Throws ApiError 413 for more than some 120,000: the rules pass
 * their lists as arguments, and JavaScript allows no more.
 */
export function foundBy<T>(rules: () => T[]): T[] {
  try {
    return rules();
  } catch (error) {
    if (!(error instanceof RangeError && error.message === "Maximum call stack size exceeded")) throw error;
    throw requestEntityTooLarge("the object has more faults than can be listed");
  }
}

/** Throws ApiError 422 where the rules find a fault. It names the kind in whose form the object is stored. */
export function refuse(kind: Kind, name: string, rules: () => FieldError[]): void {
  const errors = foundBy(rules);
  if (errors.length > 0) throw invalid(kind.stored?.as ?? kind, name, errors);
}

/** Sets the namespace of an object to that of the request. Throws ApiError 400 where the object has another. */
export function setNamespace(call: Call, object: KubernetesObject): void {
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

/**
 * Keeps one of equal owner references, and warns of the others in upstream's words: `when` is "" for what was sent, or
 * says after what they were seen.
 */
export function dedupOwners(call: Call, { metadata }: KubernetesObject, when: "" | "admission"): void {
  const { ownerReferences: owners } = metadata;
  if (!owners || owners.length < 2) return;
  const known = new Set<string>();
  const extra: string[] = [];
  const kept = owners.filter((owner) => {
    const { apiVersion, kind, name, uid, controller, blockOwnerDeletion } = owner;
    const whole = stringifyJson([apiVersion, kind, name, uid, controller ?? null, blockOwnerDeletion ?? null]);
    if (known.has(whole)) extra.push(uid);
    return known.size < known.add(whole).size;
  });
  if (extra.length === 0) return;
  const seen = when === "" ? "" : " after mutating admission happens";
  call.warnings.push(
    `.metadata.ownerReferences contains duplicate entries${seen}; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: ${extra.join(", ")}`,
  );
  metadata.ownerReferences = kept;
}

/** Puts an object's body into a write. */
export const contentOf = (call: Call, object: KubernetesObject) => {
  const { kind, storageKind } = call.resource;
  const stored = kind.stored ? kind.stored.to(object) : object;
  return { body: bodyOf(storageKind, stored), schema: schemaOf(storageKind), index: indexOf(storageKind, stored) };
};

/**
 * The one way from an operation to the store. A dry run stores nothing and resolves with undefined, or with Exists
 * where a create would.
 */
export async function commit(call: Call, write: Write): Promise<Entry | Exists | Conflict | undefined> {
  const { resources, resource, options } = call;
  if (options.dryRun) {
    const existing = write.type === "create" ? await resources.read(resource.type, write.key) : undefined;
    return existing && new Exists(existing);
  }
  const [result] = await resources.store.commit(resource.type, [write]);
  return result!;
}

export const atRevision = (object: KubernetesObject, revision: number): KubernetesObject => ({
  ...object,
  metadata: { ...object.metadata, resourceVersion: String(revision) },
});

/** Whether an object that is being deleted has nothing left to wait for. */
export function isRemovable(kind: Kind, object: KubernetesObject): boolean {
  const { metadata } = object;
  if (!metadata.deletionTimestamp || metadata.finalizers?.length) return false;
  if (kind.gracePeriod && Number(metadata.deletionGracePeriodSeconds ?? 0) > 0) return false;
  return kind.isRemovable?.(object) ?? true;
}
