/**
 * Deletes what its owners have left behind, waits with an owner that is deleted in the foreground until its dependents
 * are gone, and sets the dependents of an orphaning owner free (upstream's garbage collector). Owners and dependents
 * are found by uid; that an owner is absent is confirmed by a live read before anything is deleted.
 */
import { catalog, type Kind, type KubernetesObject } from "#api";
import { deepEqual } from "#base";
import type { AnyController, ControllerContext, Key, Result } from "#reconcile";
import { watching } from "#reconcile";
import { settle } from "./settle.ts";

/** Kinds that can own or be owned. */
const kinds = catalog.filter(
  (kind) => !kind.internal && !kind.stored && (kind.verbs ?? ["list", "delete"]).includes("delete"),
);

const numberOf = new Map<Kind, number>(kinds.map((kind, index) => [kind, index]));

/** Keys name a kind besides the object: `<number of the kind>:<name>`. */
const keyOf = (kind: Kind, { metadata }: KubernetesObject): Key => ({
  namespace: metadata.namespace,
  name: `${numberOf.get(kind)}:${metadata.name}`,
});

const waits = (object: KubernetesObject): boolean =>
  object.metadata.deletionTimestamp !== undefined && (object.metadata.finalizers?.length ?? 0) > 0;

export const garbageCollector: AnyController = {
  name: "garbage-collector",
  for: kinds[0]!,
  concerns: () => false,
  workers: 8,
  watches: kinds.map((kind) =>
    watching(kind, async ({ type, object, previous }, context) => {
      if (type === "DELETED") return [...(await dependentsOf(context, object)), ...ownersOf(object)];
      // Most writes are of a status: they change nothing between owners and dependents.
      const same = previous && deepEqual(object.metadata.ownerReferences, previous.metadata.ownerReferences);
      if (same && !waits(object)) return [];
      const keys = object.metadata.ownerReferences?.length || waits(object) ? [keyOf(kind, object)] : [];
      return keys;
    }),
  ),
  async reconcile(context: ControllerContext, key: Key): Promise<Result | undefined> {
    const colon = key.name.indexOf(":");
    const kind = kinds[Number(key.name.slice(0, colon))];
    if (!kind) return undefined;
    const name = { namespace: key.namespace, name: key.name.slice(colon + 1) };
    return settle(context, kinds, kind, name);
  },
};

/** What an object that has gone owned: each must look for another owner. */
async function dependentsOf({ client }: ControllerContext, owner: KubernetesObject): Promise<Key[]> {
  const { uid, namespace } = owner.metadata;
  const keys: Key[] = [];
  for (const kind of kinds) {
    const within = namespace === undefined ? {} : { namespace };
    const { items } = await client.list(kind, { owner: uid ?? "", ...within });
    for (const item of items) keys.push(keyOf(kind, item));
  }
  return keys;
}

/** An owner that waits in the foreground hears that one of its dependents has gone. */
function ownersOf(dependent: KubernetesObject): Key[] {
  return (dependent.metadata.ownerReferences ?? []).flatMap((reference) => {
    const kind = kinds.find((each) => each.kind === reference.kind && apiVersion(each) === reference.apiVersion);
    if (!kind) return [];
    const namespace = kind.scope === "Cluster" ? undefined : dependent.metadata.namespace;
    return [{ namespace, name: `${numberOf.get(kind)}:${reference.name}` }];
  });
}

const apiVersion = ({ group, version }: Kind): string => (group === "" ? version : `${group}/${version}`);
