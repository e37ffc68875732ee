import type { Kind, KubernetesObject } from "#api/meta";
import { clone, conflict, formatTime, notFound, parseTime, type Status, serverTimeout } from "#base";
import { Conflict, type Entry } from "#store";
import { keyOf, objectAs } from "./objects.ts";
import type { Propagation, RemoveOptions } from "./options.ts";
import { admissionRequest, type Call, kindOf, mutate, named, readEntry, settle, validate } from "./server.ts";
import { contentOf, mayGo } from "./write.ts";

/** What a delete did: the object's last state, and whether it is gone. */
export interface Removed {
  object: KubernetesObject;
  gone: boolean;
  entry?: Entry;
}

const foreground = "foregroundDeletion";
const orphan = "orphan";
const attempts = 30;

/**
 * Deletes, or marks as being deleted what still waits for finalizers or has time to end itself. Follows upstream's
 * generic store: preconditions first, a shorter grace may follow a longer one, never the other way round.
 */
export async function removeObject(call: Call, options: RemoveOptions): Promise<Removed> {
  const { server, resource } = call;
  const kind = kindOf(call);
  const key = keyOf(call.namespace, call.name);
  let known: Entry | undefined = await readEntry(server, resource.type, key);
  for (let attempt = 1; attempt <= attempts; attempt++) {
    if (!known) throw notFound(named(kind), call.name);
    const result = await removeOnce(call, options, known);
    if (!(result instanceof Conflict)) return result;
    known = result.entry;
  }
  throw serverTimeout(named(kind), "delete", 1);
}

async function removeOnce(call: Call, options: RemoveOptions, entry: Entry): Promise<Removed | Conflict> {
  const { server, resource } = call;
  const kind = kindOf(call);
  const current = objectAs(server, resource, entry);
  checkPreconditions(call, options, current);
  if (options.unsafe) throw readable(call);
  const request = admissionRequest(call, "DELETE", { previous: current });
  await mutate(server, request);
  await validate(server, request);
  const next = clone(current);
  setFinalizers(kind, next, options.propagation);
  const stays = markDeleted(call, next, current, options.gracePeriodSeconds);
  if (stays === "unchanged") return { object: current, gone: false, entry };
  const going = stays === "goes";
  if (call.dryRun) return { object: going ? current : next, gone: going };
  const write = { key: entry.key, expected: entry.revision, ...contentOf(call, next) };
  const [result] = await server.store.commit(resource.type, [{ type: going ? "delete" : "update", ...write }]);
  if (result instanceof Conflict) return result;
  if (result instanceof Error) throw result;
  if (going) await settle(server, request);
  const { revision } = result!;
  const object = { ...next, metadata: { ...next.metadata, resourceVersion: String(revision) } };
  return { object, gone: going, entry: result! };
}

/** Upstream's words, with the key under which it would keep the object: nothing that can be read goes unsafely. */
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

function checkPreconditions(call: Call, options: RemoveOptions, current: KubernetesObject): void {
  const kind = kindOf(call);
  const refuse = (what: string, asked: string, there: string | undefined) =>
    conflict(
      { group: kind.group, resource: kind.kind },
      call.name,
      `the ${what} in the precondition (${asked}) does not match the ${what} in record (${there}). ` +
        "The object might have been " +
        (what === "UID" ? "deleted and then recreated" : "modified"),
    );
  const { uid, revision } = options;
  if (uid !== undefined && uid !== current.metadata.uid) throw refuse("UID", uid, current.metadata.uid);
  if (revision !== undefined && revision !== current.metadata.resourceVersion) {
    throw refuse("ResourceVersion", revision, current.metadata.resourceVersion);
  }
}

/** The garbage collector's finalizers, as the propagation policy wants them. */
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

/** Decides what the delete does, and writes the marks of an object that stays into `next`. `asked`: seconds of grace. */
function markDeleted(
  call: Call,
  next: KubernetesObject,
  current: KubernetesObject,
  asked: number | undefined,
): "goes" | "stays" | "unchanged" {
  const kind = kindOf(call);
  const now = call.server.clock.now();
  const { metadata } = next;
  const already = current.metadata.deletionTimestamp !== undefined;
  if (already) {
    // Only a grace that the client names shortens what is left: a plain second delete changes nothing.
    const left = Number(current.metadata.deletionGracePeriodSeconds ?? 0);
    const grace = asked ?? left;
    const shorter = grace < left;
    if (shorter) {
      // The end moves forward from where it was set, as upstream reckons it.
      const started = parseTime(current.metadata.deletionTimestamp!) - left * 1000;
      metadata.deletionTimestamp = formatTime(Math.max(started + grace * 1000, now));
      metadata.deletionGracePeriodSeconds = grace;
    }
    if (mayGo(kind, next)) return "goes";
    const changed = shorter || JSON.stringify(metadata.finalizers) !== JSON.stringify(current.metadata.finalizers);
    return changed ? "stays" : "unchanged";
  }
  const grace = kind.gracePeriod?.(current, { gracePeriodSeconds: asked }) ?? 0;
  metadata.deletionTimestamp = formatTime(now + grace * 1000);
  metadata.deletionGracePeriodSeconds = grace;
  if (mayGo(kind, next)) {
    // Watchers see the last state as it was, not as it would have been while waiting.
    delete metadata.deletionTimestamp;
    delete metadata.deletionGracePeriodSeconds;
    return "goes";
  }
  if (metadata.generation !== undefined) metadata.generation = Number(metadata.generation) + 1;
  kind.prepareForDelete?.(next, { now });
  return "stays";
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
