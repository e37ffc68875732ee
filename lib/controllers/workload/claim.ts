import { controllerOf, controllerReference, type Kind, type KubernetesObject, matches, type Selector } from "#api";
import { ignoreNotFound, ignoreReasons } from "#base";
import type { Client } from "#client";

interface Claim<T extends KubernetesObject> {
  client: Client;
  /** The kind of the owner and the owner itself. */
  kind: Kind;
  owner: KubernetesObject;
  /** The kind of the objects that may be claimed. */
  dependents: Kind<T>;
  selector: Selector;
  /** Added to each adopted object and removed from each released one. */
  finalizer?: string;
}

/**
 * The objects of a namespace that an owner controls and that match its selector. Orphans that match are adopted;
 * controlled objects that no longer match are released, and both are left out where the API refuses the write because
 * the object has changed or gone. An owner that is being deleted adopts and releases nothing. The owner is read again
 * before the first adoption. Follows upstream's ControllerRefManager.
 */
export async function claim<T extends KubernetesObject>(request: Claim<T>): Promise<T[]> {
  const { client, owner, dependents, selector } = request;
  const { namespace, uid = "" } = owner.metadata;
  const owned = (await client.list(dependents, { namespace, owner: uid })).items;
  // Only objects without any owner are read: reading all that match would cost too much in a large namespace.
  const orphans = (await client.list(dependents, { namespace, labels: selector, owner: "" })).items;
  const claimed: T[] = [];
  for (const object of owned) {
    if (controllerOf(object)?.uid !== uid) continue;
    if (matches(selector, object.metadata.labels)) claimed.push(object);
    else if (!owner.metadata.deletionTimestamp) await release(request, object);
  }
  const adoptable = orphans.filter(({ metadata }) => !metadata.deletionTimestamp);
  if (adoptable.length === 0 || !(await canAdopt(request))) return claimed;
  for (const object of adoptable) {
    const adopted = await adopt(request, object);
    if (adopted) claimed.push(adopted);
  }
  return claimed;
}

/** Whether the owner still exists and is not being deleted. */
async function canAdopt({
  client,
  kind,
  owner,
}: Pick<Claim<KubernetesObject>, "client" | "kind" | "owner">): Promise<boolean> {
  const { namespace, name = "", uid } = owner.metadata;
  const fresh = await ignoreNotFound(client.get(kind, { namespace, name }));
  return fresh !== undefined && fresh.metadata.uid === uid && !fresh.metadata.deletionTimestamp;
}

const nameOf = ({ metadata }: KubernetesObject) => ({ namespace: metadata.namespace, name: metadata.name ?? "" });

function adopt<T extends KubernetesObject>(
  { client, kind, owner, dependents, finalizer }: Claim<T>,
  object: T,
): Promise<T | undefined> {
  const finalizers = finalizer === undefined ? {} : { finalizers: [finalizer] };
  const ownerReferences = [controllerReference(kind, owner)];
  const patch = { metadata: { uid: object.metadata.uid, ownerReferences, ...finalizers } };
  const adopted = client.patch(dependents, nameOf(object), patch, { type: "strategic" });
  return ignoreReasons(["NotFound", "Conflict"], adopted);
}

async function release<T extends KubernetesObject>(
  { client, owner, dependents, finalizer }: Claim<T>,
  object: T,
): Promise<void> {
  const ownerReferences = [{ $patch: "delete", uid: owner.metadata.uid }];
  const finalizers = finalizer === undefined ? {} : { "$deleteFromPrimitiveList/finalizers": [finalizer] };
  const patch = { metadata: { uid: object.metadata.uid, ownerReferences, ...finalizers } };
  const released = client.patch(dependents, nameOf(object), patch, { type: "strategic" });
  await ignoreReasons(["NotFound", "Invalid", "Conflict"], released);
}
