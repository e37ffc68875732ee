import type { Pod } from "#api";
import { parseTime } from "#base";
import { isReady, readyCondition } from "../pods.ts";

const costAnnotation = "controller.kubernetes.io/pod-deletion-cost";
const phases: Record<string, number> = { Pending: 0, Unknown: 1, Running: 2 };

const cost = ({ metadata }: Pod): number => Number(metadata.annotations?.[costAnnotation] ?? 0) || 0;
const time = (text: string | undefined): number => (text === undefined ? Number.POSITIVE_INFINITY : parseTime(text));
const restarts = ({ status }: Pod): number =>
  Math.max(0, ...(status?.containerStatuses ?? []).map(({ restartCount }) => restartCount ?? 0));

/** Times are compared on a logarithmic scale, so that a pod is not doomed for being a second younger than another. */
const rank = (since: number, now: number): number =>
  Number.isFinite(since) ? Math.floor(Math.log2(Math.max(1, now - since))) : -1;

/**
 * Pods in the order in which a ReplicaSet gives them up: those that cost least first (upstream's
 * ActivePodsWithRanks). `related` are all pods of the same owner, for evening them out over the nodes; `now` in
 * milliseconds.
 */
export function inDeletionOrder(pods: readonly Pod[], related: readonly Pod[], now: number): Pod[] {
  const perNode = new Map<string, number>();
  for (const { spec } of related) {
    if (spec?.nodeName) perNode.set(spec.nodeName, (perNode.get(spec.nodeName) ?? 0) + 1);
  }
  const keys = (pod: Pod): number[] => [
    pod.spec?.nodeName ? 1 : 0,
    phases[pod.status?.phase ?? "Pending"] ?? 0,
    isReady(pod) ? 1 : 0,
    cost(pod),
    -(perNode.get(pod.spec?.nodeName ?? "") ?? 0),
    isReady(pod) ? rank(time(readyCondition(pod)?.lastTransitionTime), now) : 0,
    -restarts(pod),
    rank(time(pod.metadata.creationTimestamp), now),
  ];
  const decorated = pods.map((pod) => ({ pod, keys: keys(pod) }));
  decorated.sort((a, b) => {
    const at = a.keys.findIndex((key, index) => key !== b.keys[index]);
    if (at >= 0) return a.keys[at]! - b.keys[at]!;
    return (a.pod.metadata.uid ?? "") < (b.pod.metadata.uid ?? "") ? -1 : 1;
  });
  return decorated.map(({ pod }) => pod);
}
