/**
 * Schedules in cron's format: five fields, or a descriptor such as `@hourly` or `@every 90m`. Follows upstream's parser
 * and its errors; the controller computes when a schedule is due.
 */
import { isTimeZone } from "./time-zone.ts";

/** When something is due: by the fields of the wall clock, or at a steady distance in milliseconds. */
export type Schedule = { timeZone?: string } & (
  | {
      type: "fields";
      minutes: ReadonlySet<number>;
      hours: ReadonlySet<number>;
      days: ReadonlySet<number>;
      months: ReadonlySet<number>;
      weekdays: ReadonlySet<number>;
      /** Whether a day must fit both as a day of the month and as a day of the week, or only one of them. */
      bothDays: boolean;
    }
  | { type: "every"; milliseconds: number }
);

interface Bounds {
  low: number;
  high: number;
  names?: readonly string[];
}

const monthNames = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const dayNames = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const bounds = {
  minutes: { low: 0, high: 59 },
  hours: { low: 0, high: 23 },
  days: { low: 1, high: 31 },
  months: { low: 1, high: 12, names: monthNames },
  weekdays: { low: 0, high: 6, names: dayNames },
} satisfies Record<string, Bounds>;

const descriptors: Readonly<Record<string, string>> = {
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
  "@monthly": "0 0 1 * *",
  "@weekly": "0 0 * * 0",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@hourly": "0 * * * *",
};

/** Reads a schedule. Throws an Error in upstream's words. */
export function parseSchedule(text: string): Schedule {
  if (text === "") throw new Error("empty spec string");
  if (!/^(?:TZ|CRON_TZ)=/.test(text)) return parseRest(text);
  const space = text.indexOf(" ");
  if (space < 0) throw new Error("invalid schedule format: runtime error: slice bounds out of range [:-1]");
  const timeZone = text.slice(text.indexOf("=") + 1, space);
  if (timeZone !== "" && !isTimeZone(timeZone)) {
    throw new Error(`provided bad location ${timeZone}: unknown time zone ${timeZone}`);
  }
  return { ...parseRest(text.slice(space).trim()), timeZone: timeZone === "" ? "UTC" : timeZone };
}

function parseRest(text: string): Schedule {
  if (!text.startsWith("@")) return parseFields(text);
  const fields = descriptors[text];
  if (fields) return parseFields(fields);
  if (!text.startsWith("@every ")) throw new Error(`unrecognized descriptor: ${text}`);
  try {
    const milliseconds = parseDuration(text.slice("@every ".length));
    return { type: "every", milliseconds: Math.max(1000, milliseconds - (milliseconds % 1000)) };
  } catch (error) {
    throw new Error(`failed to parse duration ${text}: ${(error as Error).message}`);
  }
}

function parseFields(text: string): Schedule {
  const parts = text.split(/\s+/).filter((part) => part !== "");
  if (parts.length !== 5) throw new Error(`expected exactly 5 fields, found ${parts.length}: [${parts.join(" ")}]`);
  const [minutes, hours, days, months, weekdays] = Object.values(bounds).map((limit, index) =>
    parseField(parts[index]!, limit),
  );
  return {
    type: "fields",
    minutes: minutes!.values,
    hours: hours!.values,
    days: days!.values,
    months: months!.values,
    weekdays: weekdays!.values,
    bothDays: days!.star || weekdays!.star,
  };
}

/** The values of a field, and whether it is a plain star, also as one of several. */
function parseField(text: string, limit: Bounds): { values: Set<number>; star: boolean } {
  const values = new Set<number>();
  let star = false;
  for (const range of text.split(",").filter((part) => part !== "")) {
    const { start, end, step, isStar } = parseRange(range, limit);
    star ||= isStar;
    for (let value = start; value <= end; value += step) values.add(value);
  }
  return { values, star };
}

function parseRange(text: string, { low, high, names }: Bounds) {
  const [range = "", stepText, ...moreSteps] = text.split("/");
  const [from = "", to, ...moreEnds] = range.split("-");
  const isStar = from === "*" || from === "?";
  let [start, end] = [low, high];
  if (!isStar) {
    start = parseNumber(from, names, low);
    if (moreEnds.length > 0) throw new Error(`too many hyphens: ${text}`);
    end = to === undefined ? start : parseNumber(to, names, low);
  }
  if (moreSteps.length > 0) throw new Error(`too many slashes: ${text}`);
  const step = stepText === undefined ? 1 : parseNumber(stepText);
  // `5/10` means from 5 to the end.
  if (stepText !== undefined && to === undefined) end = high;
  if (start < low) throw new Error(`beginning of range (${start}) below minimum (${low}): ${text}`);
  if (end > high) throw new Error(`end of range (${end}) above maximum (${high}): ${text}`);
  if (start > end) throw new Error(`beginning of range (${start}) beyond end of range (${end}): ${text}`);
  if (step === 0) throw new Error(`step of range should be a positive number: ${text}`);
  return { start, end, step, isStar: isStar && step === 1 };
}

function parseNumber(text: string, names?: readonly string[], low = 0): number {
  const named = names?.indexOf(text.toLowerCase()) ?? -1;
  if (named >= 0) return named + low;
  const why = !/^[+-]?\d+$/.test(text)
    ? "invalid syntax"
    : BigInt.asIntN(64, BigInt(text.replace("+", ""))) === BigInt(text.replace("+", ""))
      ? undefined
      : "value out of range";
  if (why) throw new Error(`failed to parse int from ${text}: strconv.Atoi: parsing ${JSON.stringify(text)}: ${why}`);
  if (Number(text) < 0) throw new Error(`negative number (${Number(text)}) not allowed: ${text}`);
  return Number(text);
}

const units: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1e3,
  m: 6e4,
  h: 3.6e6,
};
const longest = 2 ** 63 / 1e6;

/** A Go duration, such as `1h30m`, in milliseconds. Throws an Error in Go's words. */
function parseDuration(text: string): number {
  const shown = JSON.stringify(text);
  const sign = text.startsWith("-") ? -1 : 1;
  let rest = text.replace(/^[+-]/, "");
  if (rest === "0") return 0;
  if (rest === "") throw new Error(`time: invalid duration ${shown}`);
  let total = 0;
  while (rest !== "") {
    const number = /^(?:\d+\.?\d*|\.\d+)/.exec(rest)?.[0];
    if (number === undefined) throw new Error(`time: invalid duration ${shown}`);
    rest = rest.slice(number.length);
    const unit = /^[^.\d]*/.exec(rest)![0];
    if (unit === "") throw new Error(`time: missing unit in duration ${shown}`);
    const size = units[unit];
    if (size === undefined) throw new Error(`time: unknown unit ${JSON.stringify(unit)} in duration ${shown}`);
    rest = rest.slice(unit.length);
    total += Number(number) * size;
    if (total > longest) throw new Error(`time: invalid duration ${shown}`);
  }
  return sign * total;
}
