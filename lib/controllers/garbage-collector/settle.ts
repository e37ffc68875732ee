import { apiVersionOf, type Kind, type KubernetesObject, type OwnerReference } from "#api";
import { ignoreNotFound, ignoreReasons } from "#base";
import { inOnePass } from "#controllers/workload";
import { type ControllerContext, type Key, type Result, RetryAfter } from "#reconcile";

const foreground = "foregroundDeletion";
const orphan = "orphan";
/** Milliseconds until an owner whose dependents still exist is reconciled again. */
const recheckAfter = 2000;

type State = "solid" | "dangling" | "waiting";

/**
 * Deletes or updates one object according to its owners, and processes the finalizers by which it waits for its
 * dependents.
 */
export async function settle(
  context: ControllerContext,
  kinds: readonly Kind[],
  kind: Kind,
  name: Key,
): Promise<Result | undefined> {
  const object = await ignoreNotFound(context.client.get(kind, name));
  if (!object) return undefined;
  if (object.metadata.deletionTimestamp) {
    if (object.metadata.finalizers?.includes(orphan)) return orphanDependents(context, kinds, kind, object);
    if (object.metadata.finalizers?.includes(foreground)) return awaitDependents(context, kinds, kind, object);
    return undefined;
  }
  return collect(context, kinds, kind, object);
}

const nameOf = ({ metadata }: KubernetesObject) => ({ namespace: metadata.namespace, name: metadata.name ?? "" });

/**
 * Deletes an object without any remaining owner; otherwise removes references to owners that are gone or wait for it.
 * Rejects with Conflict where the object has changed since it was read: changes of a status do not trigger its key, so
 * the key must be retried.
 */
async function collect(
  context: ControllerContext,
  kinds: readonly Kind[],
  kind: Kind,
  object: KubernetesObject,
): Promise<undefined> {
  const references = object.metadata.ownerReferences ?? [];
  if (references.length === 0) return undefined;
  const states = new Map<OwnerReference, State>();
  for (const reference of references) states.set(reference, await stateOf(context, kinds, kind, object, reference));
  const of = (state: State) => references.filter((reference) => states.get(reference) === state);
  const { client } = context;
  const { uid, resourceVersion: revision } = object.metadata;
  if (of("solid").length > 0) {
    const rest = [...of("dangling"), ...of("waiting")];
    if (rest.length === 0) return undefined;
    const ownerReferences = rest.map((reference) => ({ $patch: "delete", uid: reference.uid }));
    const patch = { metadata: { uid, ownerReferences } };
    await ignoreReasons(["NotFound", "Conflict"], client.patch(kind, nameOf(object), patch, { type: "strategic" }));
    return undefined;
  }
  if (of("waiting").length > 0 && (await hasDependents(context, kinds, object))) {
    const freed = await breakCircle(context, kinds, kind, object);
    const seen = freed?.metadata.resourceVersion ?? revision;
    await ignoreNotFound(client.delete(kind, nameOf(object), { uid, revision: seen, propagation: "Foreground" }));
    return undefined;
  }
  // The object's own finalizers decide about its dependents.
  const { finalizers } = object.metadata;
  const propagation = finalizers?.includes(orphan)
    ? "Orphan"
    : finalizers?.includes(foreground)
      ? "Foreground"
      : "Background";
  await ignoreNotFound(client.delete(kind, nameOf(object), { uid, revision, propagation }));
  return undefined;
}

/**
 * A dependent that waits for its own dependents may wait for this very object. In such a cycle the object stops
 * blocking, or no object in it would ever be deleted (upstream's cycle detection).
 */
async function breakCircle(
  context: ControllerContext,
  kinds: readonly Kind[],
  kind: Kind,
  object: KubernetesObject,
): Promise<KubernetesObject | undefined> {
  let waiting = false;
  for await (const [, { metadata }] of dependents(context, kinds, object)) {
    waiting ||= metadata.deletionTimestamp !== undefined && (metadata.finalizers?.includes(foreground) ?? false);
  }
  const references = object.metadata.ownerReferences ?? [];
  if (!waiting || !references.some(({ blockOwnerDeletion }) => blockOwnerDeletion)) return undefined;
  const ownerReferences = references.map((reference) => ({ ...reference, blockOwnerDeletion: false }));
  const patch = { metadata: { uid: object.metadata.uid, ownerReferences } };
  return ignoreReasons(
    ["NotFound", "Conflict"],
    context.client.patch(kind, nameOf(object), patch, { type: "strategic" }),
  );
}

/** Whether an owner exists, is gone, or is being deleted in the foreground and waits for this object. */
async function stateOf(
  context: ControllerContext,
  kinds: readonly Kind[],
  kind: Kind,
  object: KubernetesObject,
  reference: OwnerReference,
): Promise<State> {
  const ownerKind = kinds.find((each) => each.kind === reference.kind && apiVersionOf(each) === reference.apiVersion);
  // An owner of a kind that is not served cannot be read, so nothing is deleted because of it.
  if (!ownerKind) return "solid";
  const { namespace } = object.metadata;
  if (kind.scope === "Cluster" && ownerKind.scope === "Namespaced") {
    const message = `ownerRef ${show(reference)} does not exist in namespace ""`;
    context.record({ kind, object }, "Warning", "OwnerRefInvalidNamespace", message);
    return "solid";
  }
  const name = { name: reference.name, ...(ownerKind.scope === "Cluster" ? {} : { namespace }) };
  const owner = await ignoreNotFound(context.client.get(ownerKind, name));
  if (!owner || owner.metadata.uid !== reference.uid) return "dangling";
  const { deletionTimestamp, finalizers } = owner.metadata;
  return deletionTimestamp && finalizers?.includes(foreground) ? "waiting" : "solid";
}

const show = ({ apiVersion, kind, name, uid }: OwnerReference): string =>
  `[${apiVersion}/${kind}, name: ${name}, uid: ${uid}]`;

/** The dependents of an object, kind by kind. */
async function* dependents(
  { client }: ControllerContext,
  kinds: readonly Kind[],
  owner: KubernetesObject,
): AsyncGenerator<[Kind, KubernetesObject]> {
  const { uid, namespace } = owner.metadata;
  for (const kind of kinds) {
    const within = namespace === undefined ? {} : { namespace };
    const { items } = await client.list(kind, { owner: uid ?? "", ...within });
    for (const item of items) yield [kind, item];
  }
}

async function hasDependents(
  context: ControllerContext,
  kinds: readonly Kind[],
  owner: KubernetesObject,
): Promise<boolean> {
  for await (const _dependent of dependents(context, kinds, owner)) return true;
  return false;
}

/** Foreground deletion: deletes the dependents and removes the owner's finalizer when none of them blocks it. */
async function awaitDependents(
  context: ControllerContext,
  kinds: readonly Kind[],
  kind: Kind,
  owner: KubernetesObject,
): Promise<Result | undefined> {
  let blocked = false;
  const all = dependents(context, kinds, owner);
  const isComplete = await inOnePass(context.clock, all, async ([dependentKind, dependent]) => {
    const reference = dependent.metadata.ownerReferences?.find(({ uid }) => uid === owner.metadata.uid);
    if (reference?.blockOwnerDeletion) blocked = true;
    if (dependent.metadata.deletionTimestamp) return;
    // A dependent that has changed meanwhile is processed again, since its owner waits or will be gone.
    await ignoreReasons(["Conflict"], collect(context, kinds, dependentKind, dependent));
  });
  if (!isComplete) return { requeueAfter: recheckAfter };
  if (blocked && (await stillBlocked(context, kinds, owner))) return { requeueAfter: recheckAfter };
  await dropFinalizer(context, kind, owner, foreground);
  return undefined;
}

async function stillBlocked(
  context: ControllerContext,
  kinds: readonly Kind[],
  owner: KubernetesObject,
): Promise<boolean> {
  for await (const [, dependent] of dependents(context, kinds, owner)) {
    if (
      dependent.metadata.ownerReferences?.some(
        ({ uid, blockOwnerDeletion }) => uid === owner.metadata.uid && blockOwnerDeletion,
      )
    )
      return true;
  }
  return false;
}

/** Orphaning: removes the owner from all dependents, then the owner's finalizer. */
async function orphanDependents(
  context: ControllerContext,
  kinds: readonly Kind[],
  kind: Kind,
  owner: KubernetesObject,
): Promise<undefined> {
  const { client } = context;
  const { uid = "" } = owner.metadata;
  await inOnePass(context.clock, dependents(context, kinds, owner), ([dependentKind, dependent]) => {
    const patch = { metadata: { uid: dependent.metadata.uid, ownerReferences: [{ $patch: "delete", uid }] } };
    return ignoreReasons(
      ["NotFound", "Conflict"],
      client.patch(dependentKind, nameOf(dependent), patch, { type: "strategic" }),
    );
  });
  if (await hasDependents(context, kinds, owner))
    throw new RetryAfter(recheckAfter, "some dependents still name their owner");
  await dropFinalizer(context, kind, owner, orphan);
  return undefined;
}

async function dropFinalizer(
  { client }: ControllerContext,
  kind: Kind,
  owner: KubernetesObject,
  finalizer: string,
): Promise<void> {
  const { finalizers, resourceVersion } = owner.metadata;
  const patch = { metadata: { resourceVersion, finalizers: (finalizers ?? []).filter((name) => name !== finalizer) } };
  await client.patch(kind, nameOf(owner), patch, { type: "merge" }).catch(async (error: unknown) => {
    if ((await ignoreNotFound(client.get(kind, nameOf(owner)))) !== undefined) throw error;
  });
}
