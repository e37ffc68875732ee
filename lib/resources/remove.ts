import type { Kind, KubernetesObject } from "#api/meta";
import { clone, conflict, formatTime, parseTime, type Status } from "#base";
import { Conflict, type Entry } from "#store";
import { admissionRequest, mutate, settle, validate } from "./admission.ts";
import { type Call, kindOf, named } from "./call.ts";
import type { Propagation } from "./options.ts";
import { retry } from "./retry.ts";
import { atRevision, commit, contentOf, isRemovable } from "./write.ts";

/** The result of a delete: the object's last state, and whether it is gone. */
export interface Removed {
  object: KubernetesObject;
  gone: boolean;
  entry?: Entry;
}

const foreground = "foregroundDeletion";
const orphan = "orphan";

/**
 * Deletes an object, or marks it as being deleted while it waits for finalizers or for the end of its grace period.
 * Follows upstream's generic store: preconditions first; a later delete may shorten the grace period, never extend it.
 */
export const removeObject = (call: Call): Promise<Removed> =>
  retry(call, "delete", (entry, current) => removeOnce(call, entry, current));

async function removeOnce(call: Call, entry: Entry, current: KubernetesObject): Promise<Removed | Conflict> {
  const { deletion } = call.options;
  const kind = kindOf(call);
  if (deletion.unsafe) throw readable(call);
  const request = admissionRequest(call, "DELETE", { previous: current });
  await mutate(call, request);
  await validate(call, request);
  const next = clone(current);
  setFinalizers(kind, next, deletion.propagation);
  const outcome = markDeleted(call, next, current);
  if (outcome === "unchanged") return { object: current, gone: false, entry };
  const gone = outcome === "removed";
  const content = { key: entry.key, expected: entry.revision, ...contentOf(call, next) };
  const result = await commit(call, { type: gone ? "delete" : "update", ...content });
  if (result === undefined) return { object: gone ? current : next, gone };
  if (result instanceof Conflict) return result;
  if (result instanceof Error) throw result;
  if (gone) await settle(call, request);
  return { object: atRevision(next, result.revision), gone, entry: result };
}

/** Upstream's error, with the key under which it would store the object: readable objects are not deleted unsafely. */
function readable(call: Call): Error {
  const kind = kindOf(call);
  const key = ["/registry", kind.plural, call.namespace, call.name].filter((part) => part !== "").join("/");
  const why = "unsafe deletion is not allowed because the object is decodable from storage";
  return conflict(
    named(kind),
    call.name,
    `StorageError: invalid object, Code: 4, Key: ${key}, ResourceVersion: 0, AdditionalErrorMsg: ${why}`,
  );
}

/** Sets the garbage collector's finalizers by the propagation policy. */
function setFinalizers(kind: Kind, object: KubernetesObject, propagation: Propagation | undefined): void {
  const before = object.metadata.finalizers ?? [];
  let wanted: string | undefined;
  if (propagation !== undefined)
    wanted = { Background: undefined, Foreground: foreground, Orphan: orphan }[propagation];
  else if (before.includes(foreground)) wanted = foreground;
  else if (before.includes(orphan) || kind.defaultPropagation === "orphan") wanted = orphan;
  const kept = before.filter((name) => name !== foreground && name !== orphan);
  const after = wanted === undefined ? kept : [...kept, wanted];
  if (after.length > 0) object.metadata.finalizers = after;
  else delete object.metadata.finalizers;
}

/** Decides what the delete does, and writes the deletion time of an object that is not yet removed into `next`. */
function markDeleted(
  call: Call,
  next: KubernetesObject,
  current: KubernetesObject,
): "removed" | "marked" | "unchanged" {
  const kind = kindOf(call);
  const asked = call.options.deletion.gracePeriodSeconds;
  const now = call.resources.clock.now();
  const { metadata } = next;
  const already = current.metadata.deletionTimestamp !== undefined;
  if (already) {
    // Only a grace period in the request shortens what is left: a plain second delete changes nothing.
    const left = Number(current.metadata.deletionGracePeriodSeconds ?? 0);
    const grace = asked ?? left;
    const shorter = grace < left;
    if (shorter) {
      // The end moves forward from where it was set, as upstream reckons it.
      const started = parseTime(current.metadata.deletionTimestamp!) - left * 1000;
      metadata.deletionTimestamp = formatTime(Math.max(started + grace * 1000, now));
      metadata.deletionGracePeriodSeconds = grace;
    }
    if (isRemovable(kind, next)) return "removed";
    const changed = shorter || JSON.stringify(metadata.finalizers) !== JSON.stringify(current.metadata.finalizers);
    return changed ? "marked" : "unchanged";
  }
  const grace = kind.gracePeriod?.(current, { gracePeriodSeconds: asked }) ?? 0;
  metadata.deletionTimestamp = formatTime(now + grace * 1000);
  metadata.deletionGracePeriodSeconds = grace;
  if (isRemovable(kind, next)) {
    // Watchers see the object as it was, without a deletion time.
    delete metadata.deletionTimestamp;
    delete metadata.deletionGracePeriodSeconds;
    return "removed";
  }
  if (metadata.generation !== undefined) metadata.generation = Number(metadata.generation) + 1;
  kind.prepareForDelete?.(next, { now });
  return "marked";
}

/** The answer where the object itself is not shown. */
export const removedStatus = (kind: Kind, object: KubernetesObject): Status => ({
  kind: "Status",
  apiVersion: "v1",
  metadata: {},
  status: "Success",
  details: {
    name: object.metadata.name ?? "",
    ...(kind.group === "" ? {} : { group: kind.group }),
    kind: kind.plural,
    uid: object.metadata.uid ?? "",
  },
});
