/** Indexed jobs: each pod has its own index. */
import {
  completionIndexKey,
  hasIndex,
  type Intervals,
  indexesOf,
  type Job,
  mergeIndexes,
  type Pod,
  type PodTemplateSpec,
  readIndexes,
} from "#api";
import { clone } from "#base";
import { inDeletionOrder, isActive, isTerminating } from "#controllers/workload";
import { remaining } from "./backoff.ts";
import {
  endOf,
  failuresBefore,
  ignoredFailuresBefore,
  indexAnnotations,
  indexOf,
  isFailed,
  isPerIndex,
  isSucceeded,
  isTracked,
  replacesEndedOnly,
} from "./job-pods.ts";
import { evaluatePolicy } from "./policies.ts";

/** The state of a job's indexes. */
export interface Indexes {
  /** Indexes that the status already counts. */
  counted: Intervals;
  succeeded: Intervals;
  /** Only for jobs with a backoff limit per index. */
  failed?: Intervals;
  /** Failed pods that are kept until they are replaced, since they store how often their index has failed. */
  replaced: Map<number, Pod>;
}

const indexesIn = (pods: readonly Pod[], completions: number): number[] =>
  pods.map((pod) => indexOf(pod, completions)).filter((index) => index !== undefined);

export function indexesOfJob(job: Job, pods: readonly Pod[]): Indexes {
  const completions = job.spec?.completions ?? 0;
  const counted = readIndexes(job.status?.completedIndexes ?? "", completions);
  const tracked = pods.filter(isTracked);
  const ended = indexesIn(tracked.filter(isSucceeded), completions);
  if (!isPerIndex(job)) return { counted, succeeded: mergeIndexes(counted, indexesOf(ended)), replaced: new Map() };
  const before = readIndexes(job.status?.failedIndexes ?? "", completions);
  // An index that was counted as failed stays so, whatever becomes of a pod that should have lost its finalizer.
  const succeeded = mergeIndexes(counted, indexesOf(ended.filter((index) => !hasIndex(before, index))));
  const lost = indexesIn(
    tracked.filter((pod) => failsIndex(pod, job)),
    completions,
  );
  // A pod that is being deleted may still succeed beside its replacement: then its index has succeeded.
  const failed = mergeIndexes(before, indexesOf(lost.filter((index) => !hasIndex(succeeded, index))));
  return { counted, succeeded, failed, replaced: toReplace(job, pods, { succeeded, failed }) };
}

function failsIndex(pod: Pod, job: Job): boolean {
  if (!isFailed(pod, job)) return false;
  const { action, counts } = evaluatePolicy(job.spec?.podFailurePolicy, pod);
  return action === "FailIndex" || (counts && failuresBefore(pod) >= (job.spec?.backoffLimitPerIndex ?? 0));
}

const failuresSoFar = (pod: Pod): number => failuresBefore(pod) + ignoredFailuresBefore(pod);

function toReplace(job: Job, pods: readonly Pod[], { succeeded, failed }: { succeeded: Intervals; failed: Intervals }) {
  const completions = job.spec?.completions ?? 0;
  const active = new Set(indexesIn(pods.filter(isActive), completions));
  const replaced = new Map<number, Pod>();
  for (const pod of pods) {
    const index = indexOf(pod, completions);
    if (index === undefined || !isTracked(pod) || !isFailed(pod, job)) continue;
    if (hasIndex(succeeded, index) || hasIndex(failed, index) || active.has(index)) continue;
    const other = replaced.get(index);
    if (!other || (failuresSoFar(other) <= failuresSoFar(pod) && endOf(pod) >= endOf(other))) replaced.set(index, pod);
  }
  return replaced;
}

/** The first indexes without an active pod that have neither succeeded nor failed. */
export function pendingIndexes(job: Job, pods: readonly Pod[], indexes: Indexes, count: number): number[] {
  const completions = job.spec?.completions ?? 0;
  const busy = pods.filter((pod) => isActive(pod) || (replacesEndedOnly(job) && isTerminating(pod)));
  let taken = mergeIndexes(indexes.succeeded, indexesOf(indexesIn(busy, completions)));
  if (indexes.failed) taken = mergeIndexes(taken, indexes.failed);
  const found: number[] = [];
  let candidate = 0;
  for (const { first, last } of [...taken, { first: completions, last: completions }]) {
    for (; candidate < first && found.length < count; candidate++) found.push(candidate);
    candidate = Math.max(candidate, last + 1);
  }
  return found;
}

/** The indexes whose backoff has passed, or milliseconds until the first backoff ends. */
export function dueIndexes(pending: readonly number[], { replaced }: Indexes, now: number) {
  const waits = pending.map((index) => {
    const pod = replaced.get(index);
    return pod ? remaining(failuresSoFar(pod) + 1, endOf(pod), now) : 0;
  });
  const due = pending.filter((_, place) => waits[place] === 0);
  return { due, wait: due.length > 0 || waits.length === 0 ? 0 : Math.min(...waits) };
}

/** Active pods beyond one per index and those without an index of this job, and the remaining ones. */
export function splitRepeated(job: Job, active: readonly Pod[]) {
  const byIndex = new Map<number, Pod[]>();
  const extra: Pod[] = [];
  for (const pod of active) {
    const index = indexOf(pod, job.spec?.completions ?? 0);
    if (index === undefined) extra.push(pod);
    else byIndex.set(index, [...(byIndex.get(index) ?? []), pod]);
  }
  const left: Pod[] = [];
  for (const pods of byIndex.values()) {
    const ordered = inDeletionOrder(pods);
    left.push(ordered.pop()!);
    extra.push(...ordered);
  }
  return { extra, left };
}

const environmentName = "JOB_COMPLETION_INDEX";
/** The longest prefix of a generated name. */
const longestBase = 58;

/** The template for the pod of one index, with the label, annotation and environment variable of the index. */
export function templateFor(job: Job, index: number, replaced: Pod | undefined): PodTemplateSpec {
  const template = clone(job.spec?.template ?? {});
  const spec = template.spec ?? { containers: [] };
  const fieldPath = `metadata.labels['${completionIndexKey}']`;
  for (const container of [...(spec.initContainers ?? []), ...spec.containers]) {
    if (container.env?.some(({ name }) => name === environmentName)) continue;
    container.env = [...(container.env ?? []), { name: environmentName, valueFrom: { fieldRef: { fieldPath } } }];
  }
  const metadata = template.metadata ?? {};
  const annotations = { ...metadata.annotations, [completionIndexKey]: String(index) };
  if (isPerIndex(job)) Object.assign(annotations, failureCounts(job, replaced));
  return {
    metadata: { ...metadata, annotations, labels: { ...metadata.labels, [completionIndexKey]: String(index) } },
    spec: { ...spec, hostname: `${job.metadata.name}-${index}` },
  };
}

function failureCounts(job: Job, replaced: Pod | undefined): Record<string, string> {
  const counts = replaced ? evaluatePolicy(job.spec?.podFailurePolicy, replaced).counts : false;
  const failures = replaced ? failuresBefore(replaced) + (counts ? 1 : 0) : 0;
  const ignored = replaced ? ignoredFailuresBefore(replaced) + (counts ? 0 : 1) : 0;
  return {
    [indexAnnotations.failures]: String(failures),
    ...(ignored > 0 ? { [indexAnnotations.ignoredFailures]: String(ignored) } : {}),
  };
}

/** The prefix of the names of an index's pods. */
export function generateNameFor(job: Job, index: number): string {
  const end = `-${index}-`;
  return `${(job.metadata.name ?? "").slice(0, longestBase - end.length)}${end}`;
}
