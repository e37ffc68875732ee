import { formatTime, parseTime } from "#base";

const timeLayout = "2006-01-02T15:04:05Z07:00";
const microTimeLayout = "2006-01-02T15:04:05.000000Z07:00";

/** Go's quoting of what a time error shows. */
const quote = (text: string): string => JSON.stringify(text);

interface Instant {
  /** Milliseconds since the epoch, of the whole second. */
  seconds: number;
  /** Nine digits. */
  nanoseconds: string;
}

interface Part {
  layout: string;
  pattern: RegExp;
  range?: { name: string; from: number; to: number };
}

const parts: readonly Part[] = [
  { layout: "2006", pattern: /^\d{4}/ },
  { layout: "-", pattern: /^-/ },
  { layout: "01", pattern: /^\d{2}/, range: { name: "month", from: 1, to: 12 } },
  { layout: "-", pattern: /^-/ },
  { layout: "02", pattern: /^\d{2}/ },
  { layout: "T", pattern: /^T/ },
  { layout: "15", pattern: /^\d{1,2}/, range: { name: "hour", from: 0, to: 23 } },
  { layout: ":", pattern: /^:/ },
  { layout: "04", pattern: /^\d{2}/, range: { name: "minute", from: 0, to: 59 } },
  { layout: ":", pattern: /^:/ },
  { layout: "05", pattern: /^\d{2}/, range: { name: "second", from: 0, to: 59 } },
];

/** Reads RFC 3339 the way Go's time.Parse does. Throws an Error in Go's words. */
function parseInstant(text: string, layout: string): Instant {
  let rest = text;
  const fail = (why: string): never => {
    throw new Error(`parsing time ${quote(text)}${why}`);
  };
  const cannot = (element: string): never =>
    fail(` as ${quote(layout)}: cannot parse ${quote(rest)} as ${quote(element)}`);
  const numbers: number[] = [];
  for (const part of parts) {
    const found = part.pattern.exec(rest)?.[0] ?? cannot(part.layout);
    rest = rest.slice(found.length);
    if (/^\d/.test(found)) numbers.push(Number(found));
    if (part.range && (numbers.at(-1)! < part.range.from || numbers.at(-1)! > part.range.to)) {
      fail(`: ${part.range.name} out of range`);
    }
  }
  const fraction = layout === microTimeLayout ? /^[.,]\d{6}/.exec(rest)?.[0] : (/^[.,]\d+/.exec(rest)?.[0] ?? "");
  if (fraction === undefined) return cannot(".000000");
  rest = rest.slice(fraction.length);
  const zone = /^(?:Z|[+-]\d{2}:\d{2})/.exec(rest)?.[0] ?? cannot("Z07:00");
  rest = rest.slice(zone.length);
  if (rest !== "") fail(`: extra text: ${quote(rest)}`);
  const plain = numbers.map((number, index) => String(number).padStart(index === 0 ? 4 : 2, "0"));
  const seconds = parseTime(`${plain.slice(0, 3).join("-")}T${plain.slice(3).join(":")}Z`);
  // A 30th of February becomes a day of March.
  if (Number.isNaN(seconds) || formatTime(seconds).slice(8, 10) !== plain[2]) fail(": day out of range");
  return { seconds: seconds - offset(zone, fail), nanoseconds: fraction.slice(1).padEnd(9, "0").slice(0, 9) };
}

function offset(zone: string, fail: (why: string) => never): number {
  if (zone === "Z") return 0;
  const hours = Number(zone.slice(1, 3));
  const minutes = Number(zone.slice(4, 6));
  if (hours > 24) fail(": time zone offset hour out of range");
  if (minutes > 60) fail(": time zone offset minute out of range");
  return (zone[0] === "-" ? -1 : 1) * (hours * 60 + minutes) * 60_000;
}

const canonical = /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{6})?Z$/;

/** RFC 3339 in any zone, with or without a fraction, as `2026-01-02T03:04:05Z`. Throws an Error in Go's words. */
export function canonicalTime(text: string): string {
  if (text.length === 20 && canonical.test(text)) return text;
  return formatTime(parseInstant(text, timeLayout).seconds);
}

/** RFC 3339 with exactly six digits of fraction, in UTC. Throws an Error in Go's words. */
export function canonicalMicroTime(text: string): string {
  if (text.length === 27 && canonical.test(text)) return text;
  const { seconds, nanoseconds } = parseInstant(text, microTimeLayout);
  return `${formatTime(seconds).slice(0, -1)}.${nanoseconds.slice(0, 6)}Z`;
}

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

/** Two units of a duration, the second left out where it is zero. */
const two = (first: number, firstUnit: string, rest: number, restUnit: string): string =>
  rest === 0 ? `${first}${firstUnit}` : `${first}${firstUnit}${rest}${restUnit}`;

/** Milliseconds in two or three figures, as kubectl's columns show them: `45s`, `3m20s`, `5h`, `2d3h`, `1y20d`. */
export function humanDuration(milliseconds: number): string {
  const seconds = Math.trunc(milliseconds / second);
  if (seconds < -1) return "<invalid>";
  if (seconds < 0) return "0s";
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.trunc(milliseconds / minute);
  if (minutes < 10) return two(minutes, "m", seconds % 60, "s");
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.trunc(milliseconds / hour);
  if (hours < 8) return two(hours, "h", minutes % 60, "m");
  if (hours < 48) return `${hours}h`;
  const days = Math.trunc(milliseconds / day);
  if (hours < 24 * 8) return two(days, "d", hours % 24, "h");
  if (days < 365 * 2) return `${days}d`;
  if (days < 365 * 8) return two(Math.trunc(days / 365), "y", days % 365, "d");
  return `${Math.trunc(days / 365)}y`;
}

/** The age of a time, for a column; `<unknown>` where there is none. */
export const ageOf = (time: string | undefined, now: number): string =>
  time === undefined ? "<unknown>" : humanDuration(now - parseTime(time));

/** Units below a second, as Go prints durations. */
const smallUnits = [
  { unit: "ms", nanoseconds: 1e6 },
  { unit: "µs", nanoseconds: 1e3 },
  { unit: "ns", nanoseconds: 1 },
] as const;

/** Nanoseconds as Go prints a duration: `1h0m0s`, `1.5s`, `20ms`, `0s`. */
export function goDuration(nanoseconds: number): string {
  if (nanoseconds < 0) return `-${goDuration(-nanoseconds)}`;
  if (nanoseconds > 0 && nanoseconds < 1e9) {
    const { unit, nanoseconds: size } =
      smallUnits.find(({ nanoseconds: size }) => nanoseconds >= size) ?? smallUnits[2];
    return `${nanoseconds / size}${unit}`;
  }
  const total = nanoseconds / 1e9;
  const [hours, minutes] = [Math.trunc(total / 3600), Math.trunc((total % 3600) / 60)];
  const seconds = (nanoseconds % 60e9) / 1e9;
  if (hours !== 0) return `${hours}h${minutes}m${seconds}s`;
  return minutes !== 0 ? `${minutes}m${seconds}s` : `${seconds}s`;
}
