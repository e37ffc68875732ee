import { apiVersionOf, type Kind, type KubernetesObject, matches, type OwnerReference, type Selector } from "#api";
import { isReason } from "#base";
import type { Client } from "#client";

/** The reference by which a controller marks what it has made. */
export const controllerReference = (kind: Kind, owner: KubernetesObject): OwnerReference => ({
  apiVersion: apiVersionOf(kind),
  kind: kind.kind,
  name: owner.metadata.name ?? "",
  uid: owner.metadata.uid ?? "",
  controller: true,
  blockOwnerDeletion: true,
});

/** The reference of the object's managing controller. */
export const controllerOf = (object: KubernetesObject): OwnerReference | undefined =>
  object.metadata.ownerReferences?.find(({ controller }) => controller);

interface Claim<T extends KubernetesObject> {
  client: Client;
  /** The kind of the owner and the owner itself. */
  kind: Kind;
  owner: KubernetesObject;
  /** What may be claimed. */
  dependents: Kind<T>;
  selector: Selector;
  /** What is adopted gets this finalizer, what is released loses it. */
  finalizer?: string;
}

/**
 * The objects of a namespace that an owner controls: those it made and that still match, and orphans that match, which
 * are adopted. What it made and no longer matches is released. Follows upstream's ControllerRefManager; the owner is
 * read again before the first adoption, so that nobody adopts on behalf of an owner that is going.
 */
export async function claim<T extends KubernetesObject>({
  client,
  kind,
  owner,
  dependents,
  selector,
  finalizer,
}: Claim<T>): Promise<T[]> {
  const { namespace, uid } = owner.metadata;
  const owned = (await client.list(dependents, { namespace, owner: uid ?? "" })).items;
  // Looking at what nobody owns keeps this cheap among thousands; what has an owner is not up for adoption.
  const orphans = (await client.list(dependents, { namespace, labels: selector, owner: "" })).items;
  const claimed: T[] = [];
  let mayAdopt: boolean | undefined;
  for (const object of owned) {
    if (controllerOf(object)?.uid !== uid) continue;
    if (matches(selector, object.metadata.labels)) claimed.push(object);
    else if (!owner.metadata.deletionTimestamp) await release(client, dependents, object, uid ?? "", finalizer);
  }
  for (const object of orphans) {
    if (object.metadata.deletionTimestamp) continue;
    mayAdopt ??= await stillThere(client, kind, owner);
    if (!mayAdopt) break;
    const adopted = await adopt(client, dependents, object, controllerReference(kind, owner), finalizer);
    if (adopted) claimed.push(adopted);
  }
  return claimed;
}

async function stillThere(client: Client, kind: Kind, owner: KubernetesObject): Promise<boolean> {
  const { namespace, name = "", uid } = owner.metadata;
  const fresh = await ignoring(["NotFound"], client.get(kind, { namespace, name }));
  return fresh !== undefined && fresh.metadata.uid === uid && !fresh.metadata.deletionTimestamp;
}

/** Settles with undefined where the API refuses for one of these reasons. */
export async function ignoring<T>(reasons: readonly string[], promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (reasons.some((reason) => isReason(error, reason))) return undefined;
    throw error;
  }
}

const nameOf = ({ metadata }: KubernetesObject) => ({ namespace: metadata.namespace, name: metadata.name ?? "" });

function adopt<T extends KubernetesObject>(
  client: Client,
  kind: Kind<T>,
  object: T,
  reference: OwnerReference,
  finalizer?: string,
): Promise<T | undefined> {
  const finalizers = finalizer === undefined ? {} : { finalizers: [finalizer] };
  const patch = { metadata: { uid: object.metadata.uid, ownerReferences: [reference], ...finalizers } };
  return ignoring(["NotFound", "Conflict"], client.patch(kind, nameOf(object), patch, { type: "strategic" }));
}

async function release<T extends KubernetesObject>(
  client: Client,
  kind: Kind<T>,
  object: T,
  uid: string,
  finalizer?: string,
): Promise<void> {
  const ownerReferences = [{ $patch: "delete", uid }];
  const finalizers = finalizer === undefined ? {} : { "$deleteFromPrimitiveList/finalizers": [finalizer] };
  const patch = { metadata: { uid: object.metadata.uid, ownerReferences, ...finalizers } };
  await ignoring(["NotFound", "Invalid", "Conflict"], client.patch(kind, nameOf(object), patch, { type: "strategic" }));
}
