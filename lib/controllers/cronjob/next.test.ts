import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseSchedule } from "#api";
import { formatTime } from "#base";
import { nextTime } from "./next.ts";
import { formatForPeople, formatIn, zone } from "./zone.ts";

/** `[reason, schedule, zone, after, the next five times]`, from upstream's library (robfig/cron 3.0.1). */
type Row = [why: string, schedule: string, zone: string, after: string, next: string[]];
const rows = JSON.parse(readFileSync(join(import.meta.dirname, "testing/next.json"), "utf8")) as Row[];

test.each(rows)("%s: %s in %s after %s", (_why, text, timeZone, after, expected) => {
  const schedule = { ...parseSchedule(text), ...(timeZone === "" ? {} : { timeZone }) };
  const found: string[] = [];
  for (let at: number | undefined = Date.parse(after); found.length < 5; ) {
    at = nextTime(schedule, at);
    if (at === undefined) break;
    found.push(formatTime(at));
  }
  expect(found).toEqual(expected);
});

test("an empty item between two commas never matches", () => {
  expect(nextTime(parseSchedule(", * * * *"), 0)).toBeUndefined();
  expect(nextTime(parseSchedule("* * , * ,"), 0)).toBeUndefined();
});

test("skips a day that does not exist", () => {
  const schedule = { ...parseSchedule("0 0 31 12 *"), timeZone: "Pacific/Apia" };
  expect(formatTime(nextTime(schedule, Date.parse("2011-12-29T12:00:00Z"))!)).toBe("2011-12-30T10:00:00Z");
});

test("uses a time zone that is part of the schedule", () => {
  expect(parseSchedule("CRON_TZ=Europe/Berlin 0 9 * * *")).toMatchObject({ timeZone: "Europe/Berlin" });
  expect(parseSchedule("TZ= 0 9 * * *")).toMatchObject({ timeZone: "UTC" });
});

test("formats times in RFC 3339 and RFC 1123", () => {
  const time = Date.parse("2026-03-01T02:03:04Z");
  expect(formatIn(zone("UTC"), time)).toBe("2026-03-01T02:03:04Z");
  expect(formatIn(zone("Asia/Kathmandu"), time)).toBe("2026-03-01T07:48:04+05:45");
  expect(formatIn(zone("America/St_Johns"), time)).toBe("2026-02-28T22:33:04-03:30");
  expect(formatForPeople(time)).toBe("Sun, 01 Mar 2026 02:03:04 +0000");
});
