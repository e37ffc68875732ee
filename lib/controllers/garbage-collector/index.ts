/**
 * Deletes objects whose owners are gone, keeps an owner that is deleted in the foreground until its dependents are
 * gone, and removes an orphaning owner from its dependents (upstream's garbage collector). Owners and dependents are
 * found by uid; a live read confirms that an owner is absent before anything is deleted.
 */
import { apiVersionOf, type Kind, type KubernetesObject } from "#api";
import { deepEqual } from "#base";
import type { AnyController, ControllerContext, Key, Result } from "#reconcile";
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

/** Whether objects of a kind can own others or be owned. */
const isCollected = (kind: Kind): boolean =>
  !kind.internal && !kind.stored && (kind.verbs ?? ["list", "delete"]).includes("delete");

const collected = ({ served }: ControllerContext): Kind[] => served.kinds.filter(isCollected);

export const garbageCollectorController: AnyController = {
  name: "garbage-collector",
  workers: 8,
  watchesKinds: {
    includes: isCollected,
    async keys(kind, { type, object, previous }, context) {
      if (type === "DELETED") return [...(await dependentsOf(context, object)), ...ownersOf(context, object)];
      // Most writes are of a status: they change nothing between owners and dependents.
      const same = previous && deepEqual(object.metadata.ownerReferences, previous.metadata.ownerReferences);
      if (same && !waits(object)) return [];
      return object.metadata.ownerReferences?.length || waits(object) ? [keyOf(kind, object)] : [];
    },
  },
  async reconcile(context: ControllerContext, { namespace, name }: Key): Promise<Result | undefined> {
    const colon = name.indexOf(":");
    const kinds = collected(context);
    const kind = kinds.find((candidate) => nameOfKind(candidate) === name.slice(0, colon));
    // During an update of the cluster a new version's keys reach the old one: they are retried until a worker knows them.
    if (!kind) throw new Error(`the kind of the key ${name} is not known to this version`);
    return settle(context, kinds, kind, { namespace, name: name.slice(colon + 1) });
  },
};

/** The dependents of a deleted object: each is reconciled, since it may have another owner. */
async function dependentsOf(context: ControllerContext, owner: KubernetesObject): Promise<Key[]> {
  const { uid, namespace } = owner.metadata;
  const keys: Key[] = [];
  for (const kind of collected(context)) {
    const within = namespace === undefined ? {} : { namespace };
    const { items } = await context.client.list(kind, { owner: uid ?? "", ...within });
    for (const item of items) keys.push(keyOf(kind, item));
  }
  return keys;
}

/** The owners of a deleted object: an owner that is deleted in the foreground waits for its dependents. */
function ownersOf(context: ControllerContext, dependent: KubernetesObject): Key[] {
  const kinds = collected(context);
  return (dependent.metadata.ownerReferences ?? []).flatMap(({ apiVersion, kind: kindName, name }) => {
    const kind = kinds.find((candidate) => nameOfKind(candidate) === `${apiVersion}/${kindName}`);
    if (!kind) return [];
    return [keyFor(kind, kind.scope === "Cluster" ? undefined : dependent.metadata.namespace, name)];
  });
}
