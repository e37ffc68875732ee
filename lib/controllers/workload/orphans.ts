import { controllerOf, type Kind, type KubernetesObject, type LabelSelector, matches, requirementsOf } from "#api";
import type { Client } from "#client";
import type { Key } from "#reconcile";

interface Workload extends KubernetesObject {
  spec?: { selector?: LabelSelector | undefined } | undefined;
}

/**
 * Keys of the objects of `kind` that may adopt an object: those of its namespace whose selector matches its labels and
 * that `isCandidate` accepts. Empty for an object that has a controller, has no labels or is being deleted.
 */
export async function adoptersOf<T extends Workload>(
  client: Client,
  kind: Kind<T>,
  orphan: KubernetesObject,
  isCandidate: (owner: T) => boolean = () => true,
): Promise<Key[]> {
  const { namespace, labels, deletionTimestamp } = orphan.metadata;
  if (deletionTimestamp || controllerOf(orphan) || !labels) return [];
  const { items } = await client.list(kind, { namespace });
  return items
    .filter((owner) => owner.spec?.selector && matches(requirementsOf(owner.spec.selector), labels))
    .filter(isCandidate)
    .map(({ metadata }) => ({ namespace, name: metadata.name ?? "" }));
}
