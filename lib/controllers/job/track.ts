/**
 * Counts pods that have ended, each exactly once, also across crashes. First the pod's uid is recorded in the status
 * (uncountedTerminatedPods); then the pod loses its finalizer, so that it may be deleted; only then is the uid replaced
 * by an increased count. A recorded uid whose pod has no finalizer any more has yet to be counted.
 */
import {
  countIndexes,
  formatIndexes,
  hasIndex,
  indexesOf,
  isConditionTrue,
  type Job,
  type JobStatus,
  jobs,
  mergeIndexes,
  type Pod,
  pods,
  trackingFinalizer,
} from "#api";
import { clone, deepEqual, formatTime, ignoreNotFound } from "#base";
import type { ControllerContext } from "#reconcile";
import { type Ending, ensureCondition } from "./conditions.ts";
import type { Indexes } from "./indexed.ts";
import { indexOf, isFailed, isIndexed, isPerIndex, isSucceeded, isTracked } from "./job-pods.ts";
import { evaluatePolicy } from "./policies.ts";

/** The most uids that one reconcile records, so that the status stays small. */
const most = 500;

/** Removes the job's finalizer from a pod; a pod that has been deleted is no error. */
export async function untrack({ client }: ControllerContext, pod: Pod): Promise<void> {
  if (!isTracked(pod)) return;
  const { namespace, name = "" } = pod.metadata;
  const patch = { metadata: { "$deleteFromPrimitiveList/finalizers": [trackingFinalizer] } };
  await ignoreNotFound(client.patch(pods, { namespace, name }, patch, { type: "strategic" }));
}

export interface Tracking {
  context: ControllerContext;
  /** The job with the counts of this reconcile; its status is modified. */
  job: Job;
  pods: readonly Pod[];
  indexes?: Indexes | undefined;
  /** How the job ends, if it does. */
  ending?: Ending | undefined;
  /** Deletes the active pods; called after the end of the job has been written. */
  end(): Promise<PodCounts>;
}

/** Counts of pods after this reconcile's writes. */
export interface PodCounts {
  active: number;
  ready: number;
  terminating: number;
  /** The first failure; the counts are valid all the same. */
  error?: unknown;
  /** Milliseconds until more pods may be created. */
  wait?: number;
}

/** The job, and its status as last read or written: only changes are written. */
interface Flushed {
  job: Job;
  status: JobStatus | undefined;
}

/**
 * Writes the changed status in steps. `before` is the status that was read. Returns whether more ends are left to
 * record.
 */
export async function track(tracking: Tracking, before: JobStatus | undefined): Promise<boolean> {
  const { context, pods: all, indexes } = tracking;
  const flushed: Flushed = { job: tracking.job, status: before };
  const tracked = new Set(all.filter(isTracked).map(({ metadata }) => metadata.uid ?? ""));
  const status = statusOf(flushed.job);
  count(status, tracked);
  const recorded = recordEnds(tracking, status);
  if (indexes) writeIndexes(flushed.job, status, indexes, recorded.indexes);
  const ending = setEndingCondition(tracking.ending, status, context.clock.now());
  await flush(context, flushed);
  if (ending) await endRest(tracking, flushed);
  const failure = await untrackAll(context, recorded.pods, tracked);
  count(statusOf(flushed.job), tracked);
  if (failure) {
    await flush(context, flushed);
    throw failure.reason;
  }
  const over = ending !== undefined && !recorded.full && conclude(flushed.job, ending, context.clock.now());
  await flush(context, flushed);
  if (over) recordEnd(context, flushed.job, ending);
  return recorded.full;
}

/** Deletes the active pods. If that fails, the pods keep their finalizers and the job does not end yet. */
async function endRest({ context, end }: Tracking, flushed: Flushed): Promise<void> {
  const counts = await end();
  writePodCounts(statusOf(flushed.job), counts);
  if (counts.error === undefined) return;
  await flush(context, flushed);
  throw counts.error;
}

export function writePodCounts(status: JobStatus, { active, ready, terminating }: PodCounts): void {
  Object.assign(status, { ready, terminating });
  if (active > 0) status.active = active;
  else delete status.active;
}

function statusOf(job: Job): JobStatus & { uncountedTerminatedPods: { succeeded?: string[]; failed?: string[] } } {
  job.status ??= {};
  job.status.uncountedTerminatedPods ??= {};
  return job.status as ReturnType<typeof statusOf>;
}

async function flush({ client }: ControllerContext, flushed: Flushed): Promise<void> {
  if (deepEqual(flushed.job.status, flushed.status)) return;
  const written = await client.update(jobs, flushed.job, { subresource: "status" });
  flushed.job = clone(written);
  flushed.status = written.status;
}

/** Counts the recorded uids whose pods have lost their finalizer. */
function count(status: ReturnType<typeof statusOf>, tracked: ReadonlySet<string>): void {
  const notes = status.uncountedTerminatedPods;
  for (const list of ["succeeded", "failed"] as const) {
    const uids = notes[list] ?? [];
    const left = uids.filter((uid) => tracked.has(uid));
    if (left.length === uids.length) continue;
    status[list] = (status[list] ?? 0) + uids.length - left.length;
    if (left.length > 0) notes[list] = left;
    else delete notes[list];
  }
}

interface Recorded {
  pods: Pod[];
  indexes: number[];
  /** Whether more ends may be left than one status should hold. */
  full: boolean;
}

/** Records the ends of pods. The returned pods may lose their finalizer once the status is written. */
function recordEnds(tracking: Tracking, status: ReturnType<typeof statusOf>): Recorded {
  const { job, indexes, ending } = tracking;
  const notes = status.uncountedTerminatedPods;
  const succeeded = new Set(notes.succeeded);
  const failed = new Set(notes.failed);
  const recorded: Recorded = { pods: [], indexes: [], full: false };
  const fails = ending !== undefined && ending.type !== "SuccessCriteriaMet";
  // Pods that are deleted after this condition was written were deleted by this controller: they have not failed.
  const succeeds = isConditionTrue(status.conditions, "SuccessCriteriaMet");
  for (const pod of inIndexOrder(tracking)) {
    const hasFailed = succeeds ? pod.status?.phase === "Failed" : isFailed(pod, job);
    if (!isTracked(pod) || !mayUntrack(tracking, pod, hasFailed)) continue;
    recorded.pods.push(pod);
    const uid = pod.metadata.uid ?? "";
    const index = indexOf(pod, job.spec?.completions ?? 0);
    if (succeeded.has(uid) || failed.has(uid)) continue;
    if (isSucceeded(pod)) {
      // The completed index itself prevents it from being counted twice.
      if (!indexes) succeeded.add(uid);
      else if (index !== undefined && isNew(indexes, index)) recorded.indexes.push(index);
    } else if ((hasFailed || fails) && (!indexes || index !== undefined)) {
      if (evaluatePolicy(job.spec?.podFailurePolicy, pod).counts) failed.add(uid);
    }
    recorded.full = recorded.indexes.length + succeeded.size + failed.size >= most;
    if (recorded.full) break;
  }
  if (succeeded.size > 0) notes.succeeded = [...succeeded];
  if (failed.size > 0) notes.failed = [...failed];
  return recorded;
}

/** Whether an index has succeeded and is not in the status yet; an index that has failed for good has not. */
const isNew = ({ counted, succeeded }: Indexes, index: number): boolean =>
  hasIndex(succeeded, index) && !hasIndex(counted, index);

const inIndexOrder = ({ job, pods: all }: Tracking): readonly Pod[] =>
  isIndexed(job) ? [...all].sort((a, b) => (indexOf(a) ?? -1) - (indexOf(b) ?? -1)) : all;

/** Whether a pod may lose its finalizer: it or the whole job has ended. */
function mayUntrack({ job, indexes, ending }: Tracking, pod: Pod, failed: boolean): boolean {
  if (job.metadata.deletionTimestamp !== undefined || ending !== undefined || isSucceeded(pod)) return true;
  if (!failed || !isPerIndex(job)) return failed;
  const index = indexOf(pod);
  return index === undefined || indexes?.replaced.get(index)?.metadata.uid !== pod.metadata.uid;
}

function writeIndexes(job: Job, status: JobStatus, { succeeded, failed }: Indexes, more: readonly number[]): void {
  const all = mergeIndexes(succeeded, indexesOf(more));
  const total = countIndexes(all);
  if (total > 0) status.succeeded = total;
  else delete status.succeeded;
  const text = formatIndexes(all);
  if (text === "") delete status.completedIndexes;
  else status.completedIndexes = text;
  if (failed) status.failedIndexes = formatIndexes(failed);
  else if (!isPerIndex(job)) delete status.failedIndexes;
}

/** Sets the condition that the job will end, before any pod loses its finalizer. */
function setEndingCondition(ending: Ending | undefined, status: JobStatus, now: number): Ending | undefined {
  if (!ending) return undefined;
  if (ending.type === "FailureTarget") {
    ensureCondition(status, now, { ...ending, status: "True" });
    return { ...ending, type: "Failed" };
  }
  if (ending.type !== "SuccessCriteriaMet") return ending;
  if (!isConditionTrue(status.conditions, ending.type)) ensureCondition(status, now, { ...ending, status: "True" });
  return { ...ending, type: "Complete" };
}

/** Removes the finalizers of pods; those that succeed are removed from `tracked`. Returns the first failure. */
async function untrackAll(context: ControllerContext, gone: readonly Pod[], tracked: Set<string>) {
  const results = await Promise.allSettled(gone.map((pod) => untrack(context, pod)));
  for (const [index, { metadata }] of gone.entries()) {
    if (results[index]?.status === "fulfilled") tracked.delete(metadata.uid ?? "");
  }
  return results.find((result) => result.status === "rejected");
}

/** Sets the final condition once all ends are counted and no pod is terminating. Returns whether the job has ended. */
function conclude(job: Job, ending: Ending, now: number): boolean {
  const status = statusOf(job);
  const { succeeded = [], failed = [] } = status.uncountedTerminatedPods;
  if (succeeded.length + failed.length > 0 || (status.terminating ?? 0) > 0) return false;
  ensureCondition(status, now, { ...ending, status: "True" });
  if (ending.type === "Complete") status.completionTime = formatTime(now);
  return true;
}

function recordEnd({ record }: ControllerContext, job: Job, ending: Ending): void {
  const about = { kind: jobs, object: job };
  if (ending.type === "Failed") {
    record(about, "Warning", ending.reason, ending.message);
    return;
  }
  const { completions } = job.spec ?? {};
  if (completions !== undefined && (job.status?.succeeded ?? 0) > completions) {
    const message = "Too many succeeded pods running after completion count reached";
    record(about, "Warning", "TooManySucceededPods", message);
  }
  record(about, "Normal", "Completed", "Job completed");
}
