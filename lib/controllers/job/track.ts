/**
 * Counts pods that have ended, each exactly once, whatever dies on the way. A pod's end is first noted in the status
 * by its uid; then the pod loses its finalizer, without which it may go; only then does the note become a number. A
 * note whose pod has no finalizer any more is a number that is still to be written.
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
import { judge } from "./policies.ts";

/** As many ends as one look notes, so that the status stays small. */
const most = 500;

/** Lets a pod go, as far as the job is concerned; one that has gone is as good. */
export async function untrack({ client }: ControllerContext, pod: Pod): Promise<void> {
  if (!isTracked(pod)) return;
  const { namespace, name = "" } = pod.metadata;
  const patch = { metadata: { "$deleteFromPrimitiveList/finalizers": [trackingFinalizer] } };
  await ignoreNotFound(client.patch(pods, { namespace, name }, patch, { type: "strategic" }));
}

export interface Tracking {
  context: ControllerContext;
  /** The job with the counts that this look has come to; its status is written here. */
  job: Job;
  pods: readonly Pod[];
  indexes?: Indexes | undefined;
  /** How the job ends, where it does. */
  ending?: Ending | undefined;
  /** Ends the pods that still run, once it is written down that the job ends. */
  end(): Promise<Standing>;
}

/** Pods as they stand after what has been done. */
export interface Standing {
  active: number;
  ready: number;
  terminating: number;
  /** What went wrong; the counts are right all the same. */
  error?: unknown;
  /** Milliseconds until more pods may be made. */
  wait?: number;
}

/** The status as it was last read or written, so that only changes are written. */
interface Flushed {
  job: Job;
  status: JobStatus | undefined;
}

/** Writes what has changed. `before` is the status that the job was read with. Returns whether more is left to count. */
export async function track(tracking: Tracking, before: JobStatus | undefined): Promise<boolean> {
  const { context, pods: all, indexes } = tracking;
  const flushed: Flushed = { job: tracking.job, status: before };
  const tracked = new Set(all.filter(isTracked).map(({ metadata }) => metadata.uid ?? ""));
  const status = statusOf(flushed.job);
  count(status, tracked);
  const noted = note(tracking, status);
  if (indexes) tellIndexes(flushed.job, status, indexes, noted.indexes);
  const ending = announce(tracking.ending, status, context.clock.now());
  await flush(context, flushed);
  if (ending) await endRest(tracking, flushed);
  const failure = await untrackAll(context, noted.pods, tracked);
  count(statusOf(flushed.job), tracked);
  if (failure) {
    await flush(context, flushed);
    throw failure.reason;
  }
  const over = ending !== undefined && !noted.full && conclude(flushed.job, ending, context.clock.now());
  await flush(context, flushed);
  if (over) tell(context, flushed.job, ending);
  return noted.full;
}

/** Ends what still runs. Where that fails, the pods keep their finalizers, and the job has not ended. */
async function endRest({ context, end }: Tracking, flushed: Flushed): Promise<void> {
  const standing = await end();
  tellStanding(statusOf(flushed.job), standing);
  if (standing.error === undefined) return;
  await flush(context, flushed);
  throw standing.error;
}

export function tellStanding(status: JobStatus, { active, ready, terminating }: Standing): void {
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

/** Notes whose pod has let go become numbers. */
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

interface Noted {
  pods: Pod[];
  indexes: number[];
  /** There may be more to note than one status should hold. */
  full: boolean;
}

/** Notes the ends of pods; what comes back may lose its finalizer once the notes are written. */
function note(tracking: Tracking, status: ReturnType<typeof statusOf>): Noted {
  const { job, indexes, ending } = tracking;
  const notes = status.uncountedTerminatedPods;
  const succeeded = new Set(notes.succeeded);
  const failed = new Set(notes.failed);
  const noted: Noted = { pods: [], indexes: [], full: false };
  const fails = ending !== undefined && ending.type !== "SuccessCriteriaMet";
  // What is told to end after that has been written has been told so by this controller: it is no failure.
  const succeeds = isConditionTrue(status.conditions, "SuccessCriteriaMet");
  for (const pod of inIndexOrder(tracking)) {
    const hasFailed = succeeds ? pod.status?.phase === "Failed" : isFailed(pod, job);
    if (!isTracked(pod) || !mayLetGo(tracking, pod, hasFailed)) continue;
    noted.pods.push(pod);
    const uid = pod.metadata.uid ?? "";
    const index = indexOf(pod, job.spec?.completions ?? 0);
    if (succeeded.has(uid) || failed.has(uid)) continue;
    if (isSucceeded(pod)) {
      // The index itself keeps it from being counted twice.
      if (!indexes) succeeded.add(uid);
      else if (index !== undefined && isNew(indexes, index)) noted.indexes.push(index);
    } else if ((hasFailed || fails) && (!indexes || index !== undefined)) {
      if (judge(job.spec?.podFailurePolicy, pod).counts) failed.add(uid);
    }
    noted.full = noted.indexes.length + succeeded.size + failed.size >= most;
    if (noted.full) break;
  }
  if (succeeded.size > 0) notes.succeeded = [...succeeded];
  if (failed.size > 0) notes.failed = [...failed];
  return noted;
}

/** Whether an index has succeeded without having been told so; one that has failed for good has not. */
const isNew = ({ counted, succeeded }: Indexes, index: number): boolean =>
  hasIndex(succeeded, index) && !hasIndex(counted, index);

const inIndexOrder = ({ job, pods: all }: Tracking): readonly Pod[] =>
  isIndexed(job) ? [...all].sort((a, b) => (indexOf(a) ?? -1) - (indexOf(b) ?? -1)) : all;

/** Whether a pod's part is over: it has ended, or all of the job has. */
function mayLetGo({ job, indexes, ending }: Tracking, pod: Pod, failed: boolean): boolean {
  if (job.metadata.deletionTimestamp !== undefined || ending !== undefined || isSucceeded(pod)) return true;
  if (!failed || !isPerIndex(job)) return failed;
  const index = indexOf(pod);
  return index === undefined || indexes?.replaced.get(index)?.metadata.uid !== pod.metadata.uid;
}

function tellIndexes(job: Job, status: JobStatus, { succeeded, failed }: Indexes, more: readonly number[]): void {
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

/** Writes down that the job will end before anything that it needs to know is let go. */
function announce(ending: Ending | undefined, status: JobStatus, now: number): Ending | undefined {
  if (!ending) return undefined;
  if (ending.type === "FailureTarget") {
    ensureCondition(status, now, { ...ending, status: "True" });
    return { ...ending, type: "Failed" };
  }
  if (ending.type !== "SuccessCriteriaMet") return ending;
  if (!isConditionTrue(status.conditions, ending.type)) ensureCondition(status, now, { ...ending, status: "True" });
  return { ...ending, type: "Complete" };
}

/** Lets pods go all at once; those that went are struck from `tracked`. Returns the first refusal. */
async function untrackAll(context: ControllerContext, gone: readonly Pod[], tracked: Set<string>) {
  const results = await Promise.allSettled(gone.map((pod) => untrack(context, pod)));
  for (const [index, { metadata }] of gone.entries()) {
    if (results[index]?.status === "fulfilled") tracked.delete(metadata.uid ?? "");
  }
  return results.find((result) => result.status === "rejected");
}

/** The job is over once nothing is left to count and no pod still ends. */
function conclude(job: Job, ending: Ending, now: number): boolean {
  const status = statusOf(job);
  const { succeeded = [], failed = [] } = status.uncountedTerminatedPods;
  if (succeeded.length + failed.length > 0 || (status.terminating ?? 0) > 0) return false;
  ensureCondition(status, now, { ...ending, status: "True" });
  if (ending.type === "Complete") status.completionTime = formatTime(now);
  return true;
}

function tell({ record }: ControllerContext, job: Job, ending: Ending): void {
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
