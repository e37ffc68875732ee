import { matches, type Pod, replicaSets, requirementsOf } from "#api";
import type { Client } from "#client";
import type { Key } from "#reconcile";
import { controllerOf } from "../ownership.ts";

/** The sets that may want to adopt a pod which nobody controls. */
export async function ownersOfOrphan(client: Client, pod: Pod): Promise<Key[]> {
  const { namespace, labels, deletionTimestamp } = pod.metadata;
  if (deletionTimestamp || controllerOf(pod) || !labels) return [];
  const { items } = await client.list(replicaSets, { namespace });
  return items
    .filter(({ spec }) => spec?.selector && matches(requirementsOf(spec.selector), labels))
    .map(({ metadata }) => ({ namespace, name: metadata.name ?? "" }));
}
