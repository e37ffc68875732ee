/** Properties of a pod that matter to its Job. */
import { completionIndexKey, findCondition, type Job, type Pod, trackingFinalizer } from "#api";
import { parseTime } from "#base";

const failuresKey = "batch.kubernetes.io/job-index-failure-count";
const ignoredFailuresKey = "batch.kubernetes.io/job-index-ignored-failure-count";
export const indexAnnotations = { failures: failuresKey, ignoredFailures: ignoredFailuresKey };

/** Whether the end of the pod has not been counted yet. */
export const isTracked = ({ metadata }: Pod): boolean => metadata.finalizers?.includes(trackingFinalizer) ?? false;
export const isSucceeded = ({ status }: Pod): boolean => status?.phase === "Succeeded";

/** Whether a pod is replaced only when it has ended, not already when it is being deleted. */
export const replacesEndedOnly = ({ spec }: Job): boolean =>
  spec?.podReplacementPolicy === "Failed" || spec?.podFailurePolicy !== undefined;

/** A pod that is being deleted counts as failed too, since its node may no longer report its end. */
export function isFailed(pod: Pod, job: Job): boolean {
  if (pod.status?.phase === "Failed") return true;
  return !replacesEndedOnly(job) && pod.metadata.deletionTimestamp !== undefined && !isSucceeded(pod);
}

export const isIndexed = ({ spec }: Job): boolean => spec?.completionMode === "Indexed";
export const isPerIndex = ({ spec }: Job): boolean => spec?.backoffLimitPerIndex !== undefined;

/** The index of a pod, if it is below `completions`. */
export function indexOf({ metadata }: Pod, completions = Number.POSITIVE_INFINITY): number | undefined {
  const text = metadata.annotations?.[completionIndexKey];
  if (text === undefined || !/^\+?\d+$/.test(text)) return undefined;
  return Number(text) < completions ? Number(text) : undefined;
}

/** Whether a pod counts for the job: in an Indexed job it needs an index. */
export const isValid = (pod: Pod, job: Job): boolean =>
  !isIndexed(job) || indexOf(pod, job.spec?.completions ?? 0) !== undefined;

function countIn(pod: Pod, key: string): number {
  const text = pod.metadata.annotations?.[key] ?? "";
  return /^\+?\d+$/.test(text) && Number(text) <= 2147483647 ? Number(text) : 0;
}

/** How many pods failed on the same index before this one. */
export const failuresBefore = (pod: Pod): number => countIn(pod, failuresKey);
export const ignoredFailuresBefore = (pod: Pod): number => countIn(pod, ignoredFailuresKey);

/**
 * When a pod ended, in milliseconds since the epoch: the end of its last container, else since when it is not ready,
 * else when its deletion was requested, else its creation.
 */
export function endOf(pod: Pod): number {
  const { metadata, spec, status } = pod;
  const sidecars = new Set(
    (spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === "Always").map(({ name }) => name),
  );
  const looked = [
    ...(status?.containerStatuses ?? []),
    ...(status?.initContainerStatuses ?? []).filter(({ name }) => sidecars.has(name)),
  ];
  const ends = looked.map(({ state }) => state?.terminated?.finishedAt);
  if (ends.length > 0 && ends.every((end) => end !== undefined)) return Math.max(...ends.map((end) => parseTime(end)));
  const ready = findCondition(status?.conditions, "Ready");
  if (ready?.status === "False" && ready.lastTransitionTime !== undefined) return parseTime(ready.lastTransitionTime);
  if (metadata.deletionTimestamp !== undefined) {
    return parseTime(metadata.deletionTimestamp) - Number(metadata.deletionGracePeriodSeconds ?? 0) * 1000;
  }
  return parseTime(metadata.creationTimestamp ?? "");
}
