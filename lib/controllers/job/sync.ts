/** Reconciles a job that has not ended: counts its pods, decides whether it ends, and creates or deletes pods. */
import {
  countIndexes,
  type Job,
  type JobStatus,
  jobs,
  type Pod,
  pods as podKind,
  requirementsOf,
  trackingFinalizer,
} from "#api";
import { clone, formatTime, parseTime } from "#base";
import { claim, isActive } from "#controllers/workload";
import type { ControllerContext, Result } from "#reconcile";
import { decided, type Ending, ensureCondition, failure, success } from "./conditions.ts";
import { type Indexes, indexesOfJob } from "./indexed.ts";
import { isFailed, isIndexed, isPerIndex, isSucceeded, isTracked, isValid } from "./job-pods.ts";
import { end, manage, podCountsOf, type Work } from "./manage.ts";
import { evaluatePolicy, failureByPolicy, successByPolicy } from "./policies.ts";
import { type PodCounts, track, writePodCounts } from "./track.ts";

export async function sync(context: ControllerContext, shared: Job): Promise<Result> {
  const { client, clock } = context;
  const job = clone(shared);
  const status: JobStatus = job.status ?? {};
  job.status = status;
  const pods = await claim<Pod>({
    client,
    kind: jobs,
    owner: job,
    dependents: podKind,
    selector: requirementsOf(job.spec?.selector ?? {}),
    finalizer: trackingFinalizer,
  });
  const ends = countEnds(job, pods);
  if (status.startTime === undefined && !job.spec?.suspend) status.startTime = formatTime(clock.now());
  const indexes = isIndexed(job) ? indexesOfJob(job, pods) : undefined;
  const succeeded = indexes ? countIndexes(indexes.succeeded) : ends.succeeded;
  const work: Work = { context, job, pods, active: pods.filter(isActive), succeeded, indexes };
  let ending = decided(job) ?? endingOf(job, pods, ends.failed, clock.now()) ?? endingByIndexes(job, indexes);
  let counts = podCountsOf(work);
  const endRest = ending ? () => end(work) : async () => counts;
  if (!ending) {
    // A job that is being deleted creates no pods.
    const isDeleting = job.metadata.deletionTimestamp !== undefined;
    if (!isDeleting) counts = await manage(work);
    if (isComplete(job, succeeded, counts.active)) {
      ending = success("CompletionsReached", "Reached expected number of succeeded pods");
    } else if (!isDeleting) updateSuspension(context, job, status);
  }
  // A suspended job may end too, but every job that ends has a start time; only a job with 0 completions has none.
  if (ending && status.startTime === undefined && job.spec?.completions !== 0) {
    status.startTime = formatTime(clock.now());
  }
  writePodCounts(status, counts);
  const full = await track({ context, job, pods, indexes, ending, end: endRest }, shared.status);
  if (counts.error !== undefined) throw counts.error;
  return nextReconcile(job, ending, counts, full, clock.now());
}

/** Pods that have ended: counted ones, uncounted ones in the status, and new ones. */
function countEnds(job: Job, pods: readonly Pod[]): { succeeded: number; failed: number } {
  const { succeeded = 0, failed = 0, uncountedTerminatedPods: notes = {} } = job.status ?? {};
  const noted = { succeeded: new Set(notes.succeeded), failed: new Set(notes.failed) };
  // A pod is recorded once: one that was being deleted may be recorded as failed and have succeeded since.
  const fresh = pods.filter(
    (pod) =>
      isTracked(pod) &&
      isValid(pod, job) &&
      !noted.succeeded.has(pod.metadata.uid ?? "") &&
      !noted.failed.has(pod.metadata.uid ?? ""),
  );
  const isCounted = (pod: Pod): boolean => isFailed(pod, job) && evaluatePolicy(job.spec?.podFailurePolicy, pod).counts;
  return {
    succeeded: succeeded + noted.succeeded.size + fresh.filter(isSucceeded).length,
    failed: failed + noted.failed.size + fresh.filter(isCounted).length,
  };
}

/** The end of the job by its policy, limits and deadline; undefined while it isDeleting on. */
function endingOf(job: Job, pods: readonly Pod[], failed: number, now: number): Ending | undefined {
  const byPolicy = failureByPolicy(job, pods);
  if (byPolicy !== undefined) return failure("PodFailurePolicy", byPolicy);
  if (failed > (job.spec?.backoffLimit ?? 6) || restartsTooOften(job, pods)) {
    return failure("BackoffLimitExceeded", "Job has reached the specified backoff limit");
  }
  if ((deadlineIn(job, now) ?? 1) > 0) return undefined;
  return failure("DeadlineExceeded", "Job was active longer than specified deadline");
}

function endingByIndexes(job: Job, indexes: Indexes | undefined): Ending | undefined {
  if (!indexes) return undefined;
  const { completions = 0, maxFailedIndexes } = job.spec ?? {};
  if (isPerIndex(job) && indexes.failed) {
    const failed = countIndexes(indexes.failed);
    if (maxFailedIndexes !== undefined && failed > maxFailedIndexes) {
      const message = "Job has exceeded the specified maximal number of failed indexes";
      return failure("MaxFailedIndexesExceeded", message);
    }
    if (failed > 0 && failed + countIndexes(indexes.succeeded) >= completions) {
      return failure("FailedIndexes", "Job has failed indexes");
    }
  }
  const met = successByPolicy(job, indexes.succeeded);
  return met === undefined ? undefined : success("SuccessPolicy", met);
}

/** Restarts of containers count as failures too. */
function restartsTooOften({ spec }: Job, pods: readonly Pod[]): boolean {
  if (spec?.template?.spec?.restartPolicy !== "OnFailure") return false;
  const running = pods.filter(({ status }) => status?.phase === "Running" || status?.phase === "Pending");
  const restarts = running
    .flatMap(({ status }) => [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])])
    .reduce((sum, { restartCount }) => sum + (restartCount ?? 0), 0);
  return spec.backoffLimit === 0 ? restarts > 0 : restarts >= (spec.backoffLimit ?? 6);
}

/** Milliseconds until the active deadline passes; undefined without a deadline and while suspended. */
function deadlineIn({ spec, status }: Job, now: number): number | undefined {
  if (spec?.activeDeadlineSeconds === undefined || status?.startTime === undefined || spec.suspend) return undefined;
  return parseTime(status.startTime) + Number(spec.activeDeadlineSeconds) * 1000 - now;
}

function isComplete({ spec }: Job, succeeded: number, active: number): boolean {
  if (active > 0) return false;
  return spec?.completions === undefined ? succeeded > 0 : succeeded >= spec.completions;
}

function updateSuspension({ clock, record }: ControllerContext, job: Job, status: JobStatus): void {
  const now = clock.now();
  const about = { kind: jobs, object: job };
  if (job.spec?.suspend) {
    const condition = { type: "Suspended", status: "True", reason: "JobSuspended", message: "Job suspended" } as const;
    if (!ensureCondition(status, now, condition)) return;
    // The deadline starts again when the job is resumed.
    delete status.startTime;
    record(about, "Normal", "Suspended", "Job suspended");
    return;
  }
  const condition = { type: "Suspended", status: "False", reason: "JobResumed", message: "Job resumed" } as const;
  if (!ensureCondition(status, now, condition)) return;
  record(about, "Normal", "Resumed", "Job resumed");
}

/** The longest wait in milliseconds: timers are limited. */
const longestWait = 24 * 60 * 60_000;

/** When the job must be reconciled without any change of an object. */
function nextReconcile(job: Job, ending: Ending | undefined, counts: PodCounts, full: boolean, now: number): Result {
  const waits = [counts.wait, full ? 1000 : undefined, ending ? undefined : deadlineIn(job, now)];
  const known = waits.filter((wait) => wait !== undefined);
  return known.length > 0 ? { requeueAfter: Math.max(0, Math.min(longestWait, ...known)) } : {};
}
