/** Tracks the jobs of a cron job: which are active, which have ended, and which of those are kept. */
import { type CronJob, type CronJobStatus, cronJobs, finishedCondition, type Job, jobs } from "#api";
import { formatTime, ignoreNotFound, isReason, messageOf, parseTime } from "#base";
import type { ControllerContext } from "#reconcile";
import { referenceTo, servedBy } from "./scheduled-job.ts";

export const nameOf = ({ metadata }: Job) => ({ namespace: metadata.namespace, name: metadata.name ?? "" });

const forget = (status: CronJobStatus, uid: string | undefined): void => {
  const left = (status.active ?? []).filter((job) => job.uid !== uid);
  if (left.length > 0) status.active = left;
  else delete status.active;
};

/** Deletes a job with its pods and removes it from the active ones. Returns whether that succeeded. */
export async function deleteJob(
  { client, record }: ControllerContext,
  cronJob: CronJob & { status: CronJobStatus },
  job: Job,
): Promise<boolean> {
  const about = { kind: cronJobs, object: cronJob };
  try {
    await client.delete(jobs, nameOf(job), { uid: job.metadata.uid, propagation: "Background" });
  } catch (error) {
    if (!isReason(error, "NotFound") && !isReason(error, "Conflict")) {
      record(about, "Warning", "FailedDelete", `Deleted job: ${messageOf(error)}`);
      return false;
    }
  }
  forget(cronJob.status, job.metadata.uid);
  record(about, "Normal", "SuccessfulDelete", `Deleted job ${job.metadata.name}`);
  return true;
}

const startOf = ({ status }: Job): number =>
  status?.startTime === undefined ? Number.POSITIVE_INFINITY : parseTime(status.startTime);
const name = ({ metadata }: Job): string => metadata.name ?? "";

/** Deletes the oldest ended jobs beyond the history limits. */
export async function cleanUp(
  context: ControllerContext,
  cronJob: CronJob & { status: CronJobStatus },
  children: readonly Job[],
): Promise<void> {
  const { successfulJobsHistoryLimit: good, failedJobsHistoryLimit: bad } = cronJob.spec ?? {};
  for (const [end, limit] of [["Complete", good] as const, ["Failed", bad] as const]) {
    if (limit === undefined) continue;
    const ended = children.filter((job) => finishedCondition(job)?.type === end && !job.metadata.deletionTimestamp);
    const oldest = ended.sort((a, b) => {
      const [left, right] = [startOf(a), startOf(b)];
      return left === right ? name(a).localeCompare(name(b)) : left - right;
    });
    const surplus = Math.max(0, ended.length - limit);
    for (const job of oldest.slice(0, surplus)) await deleteJob(context, cronJob, job);
  }
}

/**
 * Updates the status from the existing jobs. The scheduled time of an existing job counts as served, also where a crash
 * came before the status was written. Otherwise a job that has been deleted since would be created again, and one that
 * still runs would not be the only one. Upstream only checks whether the name is in use.
 */
export async function updateFromJobs(
  { client, clock, record }: ControllerContext,
  cronJob: CronJob & { status: CronJobStatus },
  children: readonly Job[],
): Promise<void> {
  const { status } = cronJob;
  const about = { kind: cronJobs, object: cronJob };
  const isListed = ({ metadata }: Job): boolean => status.active?.some(({ uid }) => uid === metadata.uid) ?? false;
  for (const job of children) {
    const end = finishedCondition(job)?.type;
    const served = servedBy(cronJob, job, clock.now());
    if (served !== undefined && served > parseTime(status.lastScheduleTime ?? formatTime(0))) {
      status.lastScheduleTime = formatTime(served);
    }
    if (end === undefined) {
      if (isListed(job)) continue;
      if (served !== undefined && !job.metadata.deletionTimestamp) {
        status.active = [...(status.active ?? []), referenceTo(job)];
        continue;
      }
      const message = `Saw a job that the controller did not create or forgot: ${name(job)}`;
      record(about, "Warning", "UnexpectedJob", message);
      continue;
    }
    if (isListed(job)) {
      forget(status, job.metadata.uid);
      record(about, "Normal", "SawCompletedJob", `Saw completed job: ${name(job)}, condition: ${end}`);
    }
    const { completionTime } = job.status ?? {};
    if (end !== "Complete" || completionTime === undefined) continue;
    const last = status.lastSuccessfulTime;
    if (last === undefined || parseTime(completionTime) > parseTime(last)) status.lastSuccessfulTime = completionTime;
  }
  const present = new Set(children.map(({ metadata }) => metadata.uid));
  for (const { uid, namespace, name: missing = "" } of status.active ?? []) {
    if (present.has(uid)) continue;
    if (await ignoreNotFound(client.get(jobs, { namespace, name: missing }))) continue;
    record(about, "Normal", "MissingJob", `Active job went missing: ${missing}`);
    forget(status, uid);
  }
}
