/** Finds the scheduled time that is due and the next one (upstream's mostRecentScheduleTime). */
import { type CronJob, parseSchedule, type Schedule, scheduleChangedAnnotation } from "#api";
import { parseTime } from "#base";
import { nextTime } from "./next.ts";

const second = 1000;
/** Milliseconds added to a wait, so that clocks which differ slightly do not wake a key too early. */
const padding = 100;
/** More missed times than this are worth a warning. */
const many = 100;

export interface Recent {
  /** Missed times count from here, in milliseconds since the epoch. */
  since: number;
  /** The last scheduled time up to now, in milliseconds since the epoch; absent where there is none. */
  time?: number;
  missed: "none" | "few" | "many";
}

/** The schedule with its zone. Throws an Error in upstream's words. */
export function scheduleOf({ spec }: CronJob): Schedule {
  const schedule = parseSchedule(spec?.schedule ?? "");
  if (spec?.timeZone === undefined || schedule.timeZone !== undefined) return schedule;
  return { ...schedule, timeZone: spec.timeZone };
}

function sinceWhen({ metadata, spec, status }: CronJob, now: number, withDeadline: boolean): number {
  let since = parseTime(status?.lastScheduleTime ?? metadata.creationTimestamp ?? "");
  const changed = metadata.annotations?.[scheduleChangedAnnotation];
  // Times before the schedule was changed were not scheduled, so they were not missed.
  if (changed !== undefined && parseTime(changed) > since) since = parseTime(changed);
  if (!withDeadline || spec?.startingDeadlineSeconds === undefined) return since;
  return Math.max(since, now - Number(spec.startingDeadlineSeconds) * second);
}

/** Throws an Error in upstream's words where the schedule has no future time. */
export function mostRecent(cronJob: CronJob, schedule: Schedule, now: number, withDeadline: boolean): Recent {
  const since = sinceWhen(cronJob, now, withDeadline);
  const first = nextTime(schedule, since);
  const next = first === undefined ? undefined : nextTime(schedule, first);
  if (first !== undefined && now < first) return { since, missed: "none" };
  if (first !== undefined && next !== undefined && now < next) return { since, time: first, missed: "none" };
  const between = first === undefined || next === undefined ? 0 : Math.round((next - first) / second);
  if (first === undefined || between < 1)
    throw new Error("time difference between two schedules is less than 1 second");
  const count = Math.trunc(Math.trunc((now - first) / second) / between) + 1;
  // Intervals of a schedule may differ: the last times are tried one by one, from one interval before the estimate.
  let time: number | undefined;
  const from = first + (count - 2) * between * second;
  for (let at = nextTime(schedule, from); at !== undefined && at <= now; at = nextTime(schedule, at)) time = at;
  return { since, ...(time === undefined ? {} : { time }), missed: count > many ? "many" : count > 0 ? "few" : "none" };
}

/**
 * Waits up to this length end with an accuracy of a second everywhere. Where no process runs between changes, longer
 * waits end up to a minute late.
 */
const exact = 90 * second;
/**
 * A cron job with a tight deadline is woken this long before its time: more than the possible minute, less than an
 * exact wait.
 */
const lead = 75 * second;
/** Seconds. A wait that ends a minute late could miss a deadline up to this. */
const tight = 120;

/** Milliseconds to wait for a time in `wait` milliseconds, so that a tight deadline is met. */
export function inTime({ spec }: CronJob, wait: number): number {
  const deadline = spec?.startingDeadlineSeconds;
  return deadline === undefined || Number(deadline) > tight || wait <= exact ? wait : wait - lead;
}

/** Milliseconds until the next scheduled time; undefined where there is none. */
export function nextIn(cronJob: CronJob, schedule: Schedule, now: number): number | undefined {
  const next = nextTime(schedule, lastServed(cronJob, schedule, now));
  return next === undefined ? undefined : Math.max(0, next + padding - now);
}

function lastServed(cronJob: CronJob, schedule: Schedule, now: number): number {
  try {
    const { time, since, missed } = mostRecent(cronJob, schedule, now, false);
    return time ?? (missed === "none" ? since : now);
  } catch {
    return now;
  }
}
