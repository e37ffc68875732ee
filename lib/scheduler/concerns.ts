import { hasEnded, type Node, nodes, type Pod, pods } from "#api";
import type { Kind, KubernetesObject } from "#api/meta";
import { deepEqual } from "#base";
import type { ObjectEvent } from "#reconcile";

/** The part of a node that matters to scheduling; heartbeats do not. */
const about = ({ metadata, spec, status }: Node) => ({
  labels: metadata.labels,
  spec,
  allocatable: status?.allocatable,
  conditions: status?.conditions?.map(({ type, status: value }) => [type, value]),
});

/** Whether two states of a node differ in the part that matters to scheduling. */
export const nodeDiffers = (before: Node, after: Node): boolean => !deepEqual(about(before), about(after));

const kinds: readonly Kind[] = [pods as unknown as Kind, nodes as unknown as Kind];

/** Whether a change may make a pod schedulable: for hosts that trigger the scheduler. */
export function concernsScheduler(kind: Kind, seen: ObjectEvent<KubernetesObject>): boolean {
  if (!kinds.includes(kind)) return false;
  if (kind === kinds[1]) {
    if (seen.type === "DELETED") return false;
    return seen.type === "ADDED" || !seen.previous || nodeDiffers(seen.previous as Node, seen.object as Node);
  }
  const pod = seen.object as Pod;
  const isPlaced = pod.spec?.nodeName !== undefined;
  if (seen.type === "DELETED") return isPlaced;
  if (isPlaced) return hasEnded(pod) && (!seen.previous || !hasEnded(seen.previous as Pod));
  // The scheduler itself writes the condition of an unschedulable pod: that is no reason to try again.
  const before = seen.previous as Pod | undefined;
  const isMarked = before !== undefined && before.metadata.generation === pod.metadata.generation;
  return pod.metadata.deletionTimestamp === undefined && !(isMarked && deepEqual(before.spec, pod.spec));
}
