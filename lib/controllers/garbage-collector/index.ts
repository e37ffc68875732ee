/**
 * Deletes what its owners have left behind, waits with an owner that is deleted in the foreground until its dependents
 * are gone, and sets the dependents of an orphaning owner free (upstream's garbage collector). Owners and dependents
 * are found by uid; that an owner is absent is confirmed by a live read before anything is deleted.
 */
import { apiVersionOf, catalog, type Kind, type KubernetesObject } from "#api";
import { deepEqual } from "#base";
import type { AnyController, ControllerContext, Key, Result } from "#reconcile";
import { watching } from "#reconcile";
import { settle } from "./settle.ts";

const nameOfKind = (kind: Kind): string => `${apiVersionOf(kind)}/${kind.kind}`;

/**
 * Keys name a kind besides the object: `apps/v1/Deployment:web`. They stay in queues and due rows for days, so they
 * must mean the same to every version of the program.
 */
const keyFor = (kind: Kind, namespace: string | undefined, name: string | undefined): Key => ({
  namespace,
  name: `${nameOfKind(kind)}:${name}`,
});
const keyOf = (kind: Kind, { metadata }: KubernetesObject): Key => keyFor(kind, metadata.namespace, metadata.name);

const waits = (object: KubernetesObject): boolean =>
  object.metadata.deletionTimestamp !== undefined && (object.metadata.finalizers?.length ?? 0) > 0;

/** The collector for the kinds of a catalog, in whatever order. */
export function garbageCollectorOf(all: readonly Kind[]): AnyController {
  /** Kinds that can own or be owned. */
  const kinds = all.filter(
    (kind) => !kind.internal && !kind.stored && (kind.verbs ?? ["list", "delete"]).includes("delete"),
  );
  const byName = new Map(kinds.map((kind) => [nameOfKind(kind), kind]));
  return {
    name: "garbage-collector",
    for: kinds[0]!,
    concerns: () => false,
    workers: 8,
    watches: kinds.map((kind) =>
      watching(kind, async ({ type, object, previous }, context) => {
        if (type === "DELETED") return [...(await dependentsOf(context, kinds, object)), ...ownersOf(byName, object)];
        // Most writes are of a status: they change nothing between owners and dependents.
        const same = previous && deepEqual(object.metadata.ownerReferences, previous.metadata.ownerReferences);
        if (same && !waits(object)) return [];
        return object.metadata.ownerReferences?.length || waits(object) ? [keyOf(kind, object)] : [];
      }),
    ),
    async reconcile(context: ControllerContext, { namespace, name }: Key): Promise<Result | undefined> {
      const colon = name.indexOf(":");
      const kind = byName.get(name.slice(0, colon));
      // While a new version is rolled out, its keys reach the old one: they come back until the new one takes them.
      if (!kind) throw new Error(`the kind of the key ${name} is not known to this version`);
      return settle(context, kinds, kind, { namespace, name: name.slice(colon + 1) });
    },
  };
}

export const garbageCollectorController = garbageCollectorOf(catalog);

/** What an object that has gone owned: each must look for another owner. */
async function dependentsOf(
  { client }: ControllerContext,
  kinds: readonly Kind[],
  owner: KubernetesObject,
): Promise<Key[]> {
  const { uid, namespace } = owner.metadata;
  const keys: Key[] = [];
  for (const kind of kinds) {
    const within = namespace === undefined ? {} : { namespace };
    const { items } = await client.list(kind, { owner: uid ?? "", ...within });
    for (const item of items) keys.push(keyOf(kind, item));
  }
  return keys;
}

/** An owner that waits in the foreground must look again when one of its dependents has gone. */
function ownersOf(byName: ReadonlyMap<string, Kind>, dependent: KubernetesObject): Key[] {
  return (dependent.metadata.ownerReferences ?? []).flatMap(({ apiVersion, kind: kindName, name }) => {
    const kind = byName.get(`${apiVersion}/${kindName}`);
    if (!kind) return [];
    return [keyFor(kind, kind.scope === "Cluster" ? undefined : dependent.metadata.namespace, name)];
  });
}
