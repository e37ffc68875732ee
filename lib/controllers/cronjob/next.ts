/**
 * Finds the next time of a schedule. Follows upstream's library (robfig/cron) exactly, also at changes of the clock: an
 * hour that does not exist is skipped, one that occurs twice counts twice.
 */
import type { Schedule } from "#api";
import { type Wall, type Zone, zone } from "./zone.ts";

type Fields = Extract<Schedule, { type: "fields" }>;

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
/** A schedule without a time in so many years has none. */
const horizon = 5;

const mod = (value: number, by: number): number => ((value % by) + by) % by;

/** The first scheduled time after `after`, in milliseconds since the epoch; undefined where there is none. */
export function nextTime(schedule: Schedule, after: number): number | undefined {
  if (schedule.type === "every") return after + schedule.milliseconds - mod(after, second);
  // An empty item between two commas matches no time.
  if (schedule.minutes.size === 0 || schedule.hours.size === 0) return undefined;
  const search = { place: zone(schedule.timeZone ?? "UTC"), time: after + second - mod(after, second), moved: false };
  const lastYear = search.place.wall(search.time).year + horizon;
  while (search.place.wall(search.time).year <= lastYear) {
    const fits =
      toMonth(schedule, search) && toDay(schedule, search) && toHour(schedule, search) && toMinute(schedule, search);
    if (fits) return search.time;
  }
  return undefined;
}

/** The state of a search. Once a field has moved, the smaller fields are reset to their start. */
interface Search {
  place: Zone;
  time: number;
  moved: boolean;
}

const now = ({ place, time }: Search): Wall => place.wall(time);

function reset(search: Search, wall: Partial<Wall>): void {
  if (!search.moved) search.time = search.place.time({ ...now(search), minute: 0, second: 0, ...wall });
  search.moved = true;
}

/**
 * Each of these advances until its field matches. Returns false where a larger field has changed and must be checked
 * again.
 */
function toMonth({ months }: Fields, search: Search): boolean {
  while (!months.has(now(search).month)) {
    reset(search, { day: 1, hour: 0 });
    const wall = now(search);
    search.time = search.place.time({ ...wall, month: wall.month + 1 });
    if (now(search).month === 1) return false;
  }
  return true;
}

function toDay(schedule: Fields, search: Search): boolean {
  while (!fitsDay(schedule, now(search))) {
    reset(search, { hour: 0 });
    const wall = now(search);
    const before = search.time;
    search.time = search.place.time({ ...wall, day: wall.day + 1 });
    // Where midnight does not exist the day begins at another hour.
    const begins = now(search).hour;
    if (begins > 12) search.time += (24 - begins) * hour;
    else search.time -= begins * hour;
    // Where a whole day does not exist (Samoa, 30 December 2011) upstream's library never returns.
    if (search.time <= before) search.time = before + 24 * hour;
    if (now(search).day === 1) return false;
  }
  return true;
}

function fitsDay({ days, weekdays, bothDays }: Fields, { day, weekday }: Wall): boolean {
  return bothDays ? days.has(day) && weekdays.has(weekday) : days.has(day) || weekdays.has(weekday);
}

function toHour({ hours }: Fields, search: Search): boolean {
  while (!hours.has(now(search).hour)) {
    reset(search, {});
    search.time += hour;
    if (now(search).hour === 0) return false;
  }
  return true;
}

function toMinute({ minutes }: Fields, search: Search): boolean {
  while (!minutes.has(now(search).minute)) {
    search.time += minute - mod(search.time, minute);
    search.moved = true;
    if (now(search).minute === 0) return false;
  }
  if (mod(search.time, minute) === 0) return true;
  // Schedules match only the first second of a minute.
  search.time += minute - mod(search.time, minute);
  search.moved = true;
  return false;
}
