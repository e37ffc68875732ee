import { hasEnded, type Node, nodes, type Pod, pods } from "#api";
import type { Kind, KubernetesObject } from "#api/meta";
import { deepEqual } from "#base";
import type { ObjectEvent } from "#reconcile";

/** What of a node scheduling looks at; heartbeats are none of it. */
const about = ({ metadata, spec, status }: Node) => ({
  labels: metadata.labels,
  spec,
  allocatable: status?.allocatable,
  conditions: status?.conditions?.map(({ type, status: value }) => [type, value]),
});

/** Whether two states of a node differ in what scheduling looks at. */
export const nodeDiffers = (before: Node, after: Node): boolean => !deepEqual(about(before), about(after));

const kinds: readonly Kind[] = [pods as unknown as Kind, nodes as unknown as Kind];

/** Whether a change may let a pod be placed, so that the scheduler must look: for hosts that wake it. */
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
  // Whoever could not place it marks it: that is no reason to try again.
  const before = seen.previous as Pod | undefined;
  const isMarked = before !== undefined && before.metadata.generation === pod.metadata.generation;
  return pod.metadata.deletionTimestamp === undefined && !(isMarked && deepEqual(before.spec, pod.spec));
}
