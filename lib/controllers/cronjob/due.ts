/** Which scheduled time is to be served now, and when the next one comes. Upstream's mostRecentScheduleTime. */
import { type CronJob, parseSchedule, type Schedule, scheduleChangedAnnotation } from "#api";
import { parseTime } from "#base";
import { nextTime } from "./next.ts";

const second = 1000;
/** So much is added to a wait, so that clocks that differ a little do not wake anybody too early. */
const padding = 100;
/** More missed times than this are worth a warning. */
const many = 100;

export interface Recent {
  /** From when on missed times count. */
  since: number;
  /** The last scheduled time up to now, in milliseconds; absent where there has been none. */
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
  // A new schedule is no reason to make up for times that nobody had planned then.
  if (changed !== undefined && parseTime(changed) > since) since = parseTime(changed);
  if (!withDeadline || spec?.startingDeadlineSeconds === undefined) return since;
  return Math.max(since, now - Number(spec.startingDeadlineSeconds) * second);
}

/** Throws an Error in upstream's words where the schedule never comes. */
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
  // Schedules need not be steady: the last times are looked for one by one, from one distance before the guess.
  let time: number | undefined;
  const from = first + (count - 2) * between * second;
  for (let at = nextTime(schedule, from); at !== undefined && at <= now; at = nextTime(schedule, at)) time = at;
  return { since, ...(time === undefined ? {} : { time }), missed: count > many ? "many" : count > 0 ? "few" : "none" };
}

/** Waits up to this end to the second everywhere; where nobody runs between changes, longer ones end up to a minute late. */
const exact = 90 * second;
/** So long before its time a cron job is woken that must not be late: more than that minute, less than an exact wait. */
const lead = 75 * second;
/** A deadline that a minute's lateness may miss. */
const tight = 120;

/** Milliseconds to wait for a time that is `wait` away, so that a short deadline is met. */
export function inTime({ spec }: CronJob, wait: number): number {
  const deadline = spec?.startingDeadlineSeconds;
  return deadline === undefined || Number(deadline) > tight || wait <= exact ? wait : wait - lead;
}

/** Milliseconds until the schedule comes again; undefined where it never does. */
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
