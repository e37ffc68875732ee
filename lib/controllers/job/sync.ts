/** One look at a job that has not ended: what has become of its pods, whether it ends, which pods it needs. */
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
import { end, manage, standingOf, type Work } from "./manage.ts";
import { failureByPolicy, judge, successByPolicy } from "./policies.ts";
import { type Standing, tellStanding, track } from "./track.ts";

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
  const counts = countEnds(job, pods);
  if (status.startTime === undefined && !job.spec?.suspend) status.startTime = formatTime(clock.now());
  const indexes = isIndexed(job) ? indexesOfJob(job, pods) : undefined;
  const succeeded = indexes ? countIndexes(indexes.succeeded) : counts.succeeded;
  const work: Work = { context, job, pods, active: pods.filter(isActive), succeeded, indexes };
  let ending = decided(job) ?? endingOf(job, pods, counts.failed, clock.now()) ?? endingByIndexes(job, indexes);
  let standing = standingOf(work);
  const endRest = ending ? () => end(work) : async () => standing;
  if (!ending) {
    // A job that is being deleted makes nothing any more.
    const goes = job.metadata.deletionTimestamp !== undefined;
    if (!goes) standing = await manage(work);
    if (isComplete(job, succeeded, standing.active)) {
      ending = success("CompletionsReached", "Reached expected number of succeeded pods");
    } else if (!goes) tellSuspension(context, job, status);
  }
  // A suspended job may end too, and none ends that never began; only one without work has no times.
  if (ending && status.startTime === undefined && job.spec?.completions !== 0) {
    status.startTime = formatTime(clock.now());
  }
  tellStanding(status, standing);
  const full = await track({ context, job, pods, indexes, ending, end: endRest }, shared.status);
  if (standing.error !== undefined) throw standing.error;
  return wake(job, ending, standing, full, clock.now());
}

/** Pods that have ended: those in the counts, those that are noted, and those that are new. */
function countEnds(job: Job, pods: readonly Pod[]): { succeeded: number; failed: number } {
  const { succeeded = 0, failed = 0, uncountedTerminatedPods: notes = {} } = job.status ?? {};
  const noted = { succeeded: new Set(notes.succeeded), failed: new Set(notes.failed) };
  // A pod is noted once: one that was told to end may have failed by its note and have succeeded since.
  const fresh = pods.filter(
    (pod) =>
      isTracked(pod) &&
      isValid(pod, job) &&
      !noted.succeeded.has(pod.metadata.uid ?? "") &&
      !noted.failed.has(pod.metadata.uid ?? ""),
  );
  const counts = (pod: Pod): boolean => isFailed(pod, job) && judge(job.spec?.podFailurePolicy, pod).counts;
  return {
    succeeded: succeeded + noted.succeeded.size + fresh.filter(isSucceeded).length,
    failed: failed + noted.failed.size + fresh.filter(counts).length,
  };
}

/** Whether the job fails as a whole, and why. */
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

/** Containers that are started again in their pod count as failures too. */
function restartsTooOften({ spec }: Job, pods: readonly Pod[]): boolean {
  if (spec?.template?.spec?.restartPolicy !== "OnFailure") return false;
  const running = pods.filter(({ status }) => status?.phase === "Running" || status?.phase === "Pending");
  const restarts = running
    .flatMap(({ status }) => [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])])
    .reduce((sum, { restartCount }) => sum + (restartCount ?? 0), 0);
  return spec.backoffLimit === 0 ? restarts > 0 : restarts >= (spec.backoffLimit ?? 6);
}

/** Milliseconds until the job has been active for too long; undefined where it may be for ever, or rests. */
function deadlineIn({ spec, status }: Job, now: number): number | undefined {
  if (spec?.activeDeadlineSeconds === undefined || status?.startTime === undefined || spec.suspend) return undefined;
  return parseTime(status.startTime) + Number(spec.activeDeadlineSeconds) * 1000 - now;
}

function isComplete({ spec }: Job, succeeded: number, active: number): boolean {
  if (active > 0) return false;
  return spec?.completions === undefined ? succeeded > 0 : succeeded >= spec.completions;
}

function tellSuspension({ clock, record }: ControllerContext, job: Job, status: JobStatus): void {
  const now = clock.now();
  const about = { kind: jobs, object: job };
  if (job.spec?.suspend) {
    const condition = { type: "Suspended", status: "True", reason: "JobSuspended", message: "Job suspended" } as const;
    if (!ensureCondition(status, now, condition)) return;
    // The deadline will count from the resumption.
    delete status.startTime;
    record(about, "Normal", "Suspended", "Job suspended");
    return;
  }
  const condition = { type: "Suspended", status: "False", reason: "JobResumed", message: "Job resumed" } as const;
  if (!ensureCondition(status, now, condition)) return;
  record(about, "Normal", "Resumed", "Job resumed");
}

/** Nobody sleeps longer than this at a stretch: timers have an end. */
const longestWait = 24 * 60 * 60_000;

/** When time alone changes something. */
function wake(job: Job, ending: Ending | undefined, standing: Standing, full: boolean, now: number): Result {
  const waits = [standing.wait, full ? 1000 : undefined, ending ? undefined : deadlineIn(job, now)];
  const known = waits.filter((wait) => wait !== undefined);
  return known.length > 0 ? { requeueAfter: Math.max(0, Math.min(longestWait, ...known)) } : {};
}
