import { findCondition, hasEnded, isConditionTrue, type Pod } from "#api";
import { parseTime } from "#base";

/** Neither ended nor being deleted (upstream's IsPodActive). */
export const isActive = (pod: Pod): boolean => !pod.metadata.deletionTimestamp && !hasEnded(pod);

/** Being deleted and not ended yet (upstream's IsPodTerminating). */
export const isTerminating = (pod: Pod): boolean => pod.metadata.deletionTimestamp !== undefined && !hasEnded(pod);

export const readyCondition = ({ status }: Pod) => findCondition(status?.conditions, "Ready");
export const isReady = ({ status }: Pod): boolean => isConditionTrue(status?.conditions, "Ready");

/**
 * Milliseconds until a ready pod counts as available: 0 when it does, undefined while it is not ready. `now` in
 * milliseconds since the epoch.
 */
export function availableIn(pod: Pod, minReadySeconds: number, now: number): number | undefined {
  const condition = readyCondition(pod);
  if (condition?.status !== "True") return undefined;
  if (minReadySeconds === 0) return 0;
  const since = condition.lastTransitionTime === undefined ? now : parseTime(condition.lastTransitionTime);
  return Math.max(0, since + minReadySeconds * 1000 - now);
}

/** A count of a status, which upstream leaves out when it is zero. */
export const nonZero = <K extends string>(name: K, count: number): Partial<Record<K, number>> =>
  count === 0 ? {} : ({ [name]: count } as Record<K, number>);
