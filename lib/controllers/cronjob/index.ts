/**
 * Creates jobs on a schedule (upstream's cronjob controller, version 2). The status stores the last scheduled time, and
 * a job's name is derived from its scheduled time. So each time is served once, even if a key is processed late, early,
 * twice or after a crash.
 */
import {
  type CronJob,
  type CronJobStatus,
  controllerOf,
  cronJobs,
  isTimeZone,
  type Job,
  jobs,
  type Schedule,
} from "#api";
import { clone, deepEqual, formatTime, hasCause, ignoreNotFound, isReason, messageOf, parseTime } from "#base";
import { type ControllerContext, defineController, type Key, type Result } from "#reconcile";
import { inTime, mostRecent, nextIn, scheduleOf } from "./due.ts";
import { cleanUp, deleteJob, nameOf, updateFromJobs } from "./history.ts";
import { jobName, jobOf, referenceTo } from "./scheduled-job.ts";
import { formatForPeople } from "./zone.ts";

type Known = CronJob & { status: CronJobStatus };

/** The longest wait in milliseconds: timers are limited. */
const longestWait = 24 * 60 * 60_000;

export const cronJobController = defineController<CronJob>({
  name: "cronjob",
  for: cronJobs,
  owns: [jobs],
  reconcile,
});

async function reconcile(context: ControllerContext, key: Key): Promise<Result | undefined> {
  const { client } = context;
  const shared = await ignoreNotFound(client.get(cronJobs, key));
  if (!shared) return undefined;
  const cronJob: Known = { ...clone(shared), status: clone(shared.status ?? {}) };
  const { namespace, uid = "" } = cronJob.metadata;
  const owned = (await client.list(jobs, { namespace, owner: uid })).items;
  const children = owned.filter((job) => controllerOf(job)?.uid === uid);
  let written = shared.status ?? {};
  const flush = async (): Promise<void> => {
    if (deepEqual(cronJob.status, written)) return;
    const { metadata, status } = await client.update(cronJobs, cronJob, { subresource: "status" });
    cronJob.metadata = clone(metadata);
    written = status ?? {};
  };
  await updateFromJobs(context, cronJob, children);
  // The status must contain the result of a job before the job is deleted.
  await flush();
  await cleanUp(context, cronJob, children);
  try {
    return await start(context, cronJob);
  } finally {
    await flush();
  }
}

/** Creates a job if one is due. Returns when to reconcile next. */
async function start(context: ControllerContext, cronJob: Known): Promise<Result | undefined> {
  const { clock, record } = context;
  const { metadata, spec } = cronJob;
  const about = { kind: cronJobs, object: cronJob };
  if (metadata.deletionTimestamp) return undefined;
  const { timeZone, schedule: text = "" } = spec ?? {};
  if (timeZone !== undefined && !isTimeZone(timeZone)) {
    const message = `invalid timeZone: ${JSON.stringify(timeZone)}: unknown time zone ${timeZone}`;
    record(about, "Warning", "UnknownTimeZone", message);
    return undefined;
  }
  if (spec?.suspend) return undefined;
  const now = clock.now();
  let schedule: Schedule;
  let recent: ReturnType<typeof mostRecent>;
  try {
    schedule = scheduleOf(cronJob);
  } catch (error) {
    const message = `unparseable schedule: ${JSON.stringify(text)} : ${messageOf(error)}`;
    record(about, "Warning", "UnparseableSchedule", message);
    return undefined;
  }
  try {
    recent = mostRecent(cronJob, schedule, now, true);
  } catch (error) {
    record(about, "Warning", "InvalidSchedule", `invalid schedule: ${text} : ${messageOf(error)}`);
    return undefined;
  }
  if (recent.time !== undefined) {
    if (recent.missed === "many") {
      const advice = "Set or decrease .spec.startingDeadlineSeconds or check clock skew";
      record(about, "Warning", "TooManyMissedTimes", `too many missed start times. ${advice}`);
    }
    await serve(context, cronJob, recent.time);
  }
  const wait = nextIn(cronJob, schedule, now);
  return wait === undefined ? undefined : { requeueAfter: Math.min(inTime(cronJob, wait), longestWait) };
}

/**
 * Serves one scheduled time, unless it is served already, past its deadline, or forbidden by the concurrency policy.
 */
async function serve(context: ControllerContext, cronJob: Known, scheduled: number): Promise<void> {
  const { client, clock, record } = context;
  const { spec, status } = cronJob;
  const about = { kind: cronJobs, object: cronJob };
  const deadline = spec?.startingDeadlineSeconds;
  if (deadline !== undefined && scheduled + Number(deadline) * 1000 < clock.now()) {
    const message = `Missed scheduled time to start a job: ${formatForPeople(scheduled)}`;
    record(about, "Warning", "MissSchedule", message);
    return;
  }
  const active = status.active ?? [];
  const name = jobName(cronJob, scheduled);
  const last = status.lastScheduleTime;
  if (active.some((job) => job.name === name) || (last !== undefined && parseTime(last) === scheduled)) return;
  if (spec?.concurrencyPolicy === "Forbid" && active.length > 0) {
    const message = "Not starting job because prior execution is running and concurrency policy is Forbid";
    record(about, "Normal", "JobAlreadyActive", message);
    return;
  }
  if (spec?.concurrencyPolicy === "Replace") {
    for (const { namespace, name: running = "" } of active) {
      const job = await client.get(jobs, { namespace, name: running }).catch((error: unknown) => {
        record(about, "Warning", "FailedGet", `Get job: ${messageOf(error)}`);
        throw error;
      });
      if (!(await deleteJob(context, cronJob, job))) throw new Error(`could not replace job ${namespace}/${running}`);
    }
  }
  const job = await createJob(context, cronJob, scheduled);
  if (!job) return;
  status.active = [...(status.active ?? []), referenceTo(job)];
  status.lastScheduleTime = formatTime(scheduled);
}

/**
 * The job of a scheduled time, created now or by an earlier reconcile; undefined where it belongs to another owner or
 * is already active.
 */
async function createJob(context: ControllerContext, cronJob: Known, scheduled: number): Promise<Job | undefined> {
  const { client, record } = context;
  const about = { kind: cronJobs, object: cronJob };
  const wanted = jobOf(cronJob, scheduled);
  try {
    const made = await client.create(jobs, wanted);
    record(about, "Normal", "SuccessfulCreate", `Created job ${made.metadata.name}`);
    return made;
  } catch (error) {
    if (isReason(error, "AlreadyExists")) {
      const there = await client.get(jobs, nameOf(wanted));
      const isOurs = controllerOf(there)?.uid === cronJob.metadata.uid;
      const isKnown = cronJob.status.active?.some(({ uid }) => uid === there.metadata.uid);
      return isOurs && !isKnown ? there : undefined;
    }
    // A namespace that is being deleted accepts no new objects; that is not worth an event.
    if (!hasCause(error, "NamespaceTerminating")) {
      record(about, "Warning", "FailedCreate", `Error creating job: ${messageOf(error)}`);
    }
    throw error;
  }
}
