import { isSidecar, type Pod } from "#api";
import { parseTime } from "#base";
import { isReady, readyCondition } from "./pods.ts";

const costAnnotation = "controller.kubernetes.io/pod-deletion-cost";
const phases: Record<string, number> = { Pending: 0, Unknown: 1, Running: 2 };
const largestInt32 = 2 ** 31 - 1;

/** What the order depends on, computed once per pod. Times in milliseconds since the epoch; undefined when not set. */
interface Facts {
  pod: Pod;
  uid: string;
  assigned: number;
  phase: number;
  ready: number;
  cost: number;
  /** Active pods of the same owner on the same node. */
  colocated: number;
  readySince: number | undefined;
  restarts: number;
  sidecarRestarts: number;
  created: number | undefined;
}

/** 0 where the annotation is missing or not a 32-bit integer (upstream's GetDeletionCostFromPodAnnotations). */
function costOf({ metadata }: Pod): number {
  const text = metadata.annotations?.[costAnnotation] ?? "0";
  const cost = /^(?:0|-\d+|[1-9]\d*)$/.test(text) ? Number(text) : 0;
  return cost >= -largestInt32 - 1 && cost <= largestInt32 ? cost : 0;
}

const timeOf = (text: string | undefined): number | undefined => (text === undefined ? undefined : parseTime(text));

type Statuses = NonNullable<NonNullable<Pod["status"]>["containerStatuses"]>;
const mostRestarts = (statuses: Statuses = []): number =>
  Math.max(0, ...statuses.map(({ restartCount }) => restartCount));

function factsOf(pod: Pod, perNode: ReadonlyMap<string, number> | undefined): Facts {
  const { metadata, spec, status } = pod;
  const sidecars = new Set((spec?.initContainers ?? []).filter(isSidecar).map(({ name }) => name));
  return {
    pod,
    uid: metadata.uid ?? "",
    assigned: spec?.nodeName ? 1 : 0,
    phase: phases[status?.phase ?? "Pending"] ?? 0,
    ready: isReady(pod) ? 1 : 0,
    cost: perNode ? costOf(pod) : 0,
    colocated: perNode?.get(spec?.nodeName ?? "") ?? 0,
    readySince: isReady(pod) ? timeOf(readyCondition(pod)?.lastTransitionTime) : undefined,
    restarts: mostRestarts(status?.containerStatuses),
    sidecarRestarts: mostRestarts(status?.initContainerStatuses?.filter(({ name }) => sidecars.has(name))),
    created: timeOf(metadata.creationTimestamp),
  };
}

/** The age in powers of two of a nanosecond, so that pods of nearly the same age count as equal. */
const rank = (since: number, now: number): number => (now > since ? Math.trunc(Math.log2((now - since) * 1e6)) : -1);

/**
 * Unset before newer before older. With `now`, ages are compared on a logarithmic scale, and the uid decides between
 * different ages of the same rank.
 */
function compareAges(a: number | undefined, b: number | undefined, byUid: number, now: number | undefined): number {
  if (a === b) return 0;
  if (a === undefined || b === undefined) return a === undefined ? -1 : 1;
  if (now === undefined) return b - a;
  return rank(a, now) - rank(b, now) || byUid;
}

function compare(a: Facts, b: Facts, now: number | undefined): number {
  const byUid = a.uid < b.uid ? -1 : 1;
  return (
    a.assigned - b.assigned ||
    a.phase - b.phase ||
    a.ready - b.ready ||
    a.cost - b.cost ||
    b.colocated - a.colocated ||
    compareAges(a.readySince, b.readySince, byUid, now) ||
    b.restarts - a.restarts ||
    b.sidecarRestarts - a.sidecarRestarts ||
    compareAges(a.created, b.created, byUid, now) ||
    byUid
  );
}

const inOrder = (facts: Facts[], now?: number): Pod[] => facts.sort((a, b) => compare(a, b, now)).map(({ pod }) => pod);

/** Active pods in the order in which they are deleted, those that have progressed least first (upstream's ActivePods). */
export const inDeletionOrder = (pods: readonly Pod[]): Pod[] => inOrder(pods.map((pod) => factsOf(pod, undefined)));

/**
 * The same order, which also respects the deletion cost and spreads the remaining pods over the nodes (upstream's
 * ActivePodsWithRanks). `related` are all active pods of the same owner, `now` is in milliseconds since the epoch.
 */
export function inRankedDeletionOrder(pods: readonly Pod[], related: readonly Pod[], now: number): Pod[] {
  const perNode = new Map<string, number>();
  for (const { spec } of related) {
    const node = spec?.nodeName ?? "";
    perNode.set(node, (perNode.get(node) ?? 0) + 1);
  }
  return inOrder(
    pods.map((pod) => factsOf(pod, perNode)),
    now,
  );
}
