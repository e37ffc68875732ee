/** Wall clocks: the local time of an instant, and the instant of a local time. */

export interface Wall {
  year: number;
  /** 1 to 12; values beyond carry into the years. */
  month: number;
  /** 1 to 31; values beyond carry into the months. */
  day: number;
  hour: number;
  minute: number;
  second: number;
  /** 0 is Sunday. */
  weekday: number;
}

export interface Zone {
  /** The offset from UTC at an instant, in milliseconds. */
  offset(time: number): number;
  wall(time: number): Wall;
  /** The instant of a local time. Where the local time occurs twice or never, the one that Go's time.Date returns. */
  time(wall: Omit<Wall, "weekday">): number;
}

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

/** Days from 1970-01-01 to a day of the Gregorian calendar. Years start in March, so that leap days are last. */
function daysTo(year: number, month: number, dayOfMonth: number): number {
  const months = year * 12 + month - 3;
  const years = Math.floor(months / 12);
  const dayOfYear = Math.floor((153 * (months - years * 12) + 2) / 5);
  return (
    years * 365 +
    Math.floor(years / 4) -
    Math.floor(years / 100) +
    Math.floor(years / 400) +
    dayOfYear +
    dayOfMonth -
    719_469
  );
}

function dateOf(days: number): { year: number; month: number; day: number } {
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const rest = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (rest - Math.floor(rest / 1460) + Math.floor(rest / 36_524) - Math.floor(rest / 146_096)) / 365,
  );
  const dayOfYear = rest - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1,
  };
}

/** The local time in UTC. */
const asUtc = (wall: Omit<Wall, "weekday">): number =>
  daysTo(wall.year, wall.month, wall.day) * day + wall.hour * hour + wall.minute * minute + wall.second * second;

function wallOf(local: number): Wall {
  const days = Math.floor(local / day);
  const rest = local - days * day;
  return {
    ...dateOf(days),
    hour: Math.floor(rest / hour),
    minute: Math.floor((rest % hour) / minute),
    second: Math.floor((rest % minute) / second),
    weekday: (((days + 4) % 7) + 7) % 7,
  };
}

/** Clocks change on quarters of an hour. */
const quarter = 15 * minute;
const remembered = 4096;
const zones = new Map<string, Zone>();

/** The clock of a time zone. Throws RangeError for an unknown name. */
export function zone(name: string): Zone {
  const known = zones.get(name);
  if (known) return known;
  const made = makeZone(name === "UTC" ? () => 0 : offsets(name));
  if (zones.size >= remembered) zones.clear();
  zones.set(name, made);
  return made;
}

function makeZone(offset: (time: number) => number): Zone {
  return {
    offset,
    wall: (time) => wallOf(time + offset(time)),
    time(wall) {
      const local = asUtc(wall);
      const first = offset(local);
      return first === 0 ? local : local - offset(local - first);
    },
  };
}

function offsets(name: string): (time: number) => number {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: name,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  });
  const known = new Map<number, number>();
  return (time) => {
    const at = Math.floor(time / quarter);
    const found = known.get(at);
    if (found !== undefined) return found;
    const [month, dayOfMonth, year, hours, minutes, seconds] = (format.format(at * quarter).match(/\d+/g) ?? []).map(
      Number,
    );
    const shown = { year: year!, month: month!, day: dayOfMonth!, hour: hours!, minute: minutes!, second: seconds! };
    const offset = asUtc(shown) - at * quarter;
    if (known.size >= remembered) known.clear();
    known.set(at, offset);
    return offset;
  };
}

/** RFC 3339 with the zone's offset: `2026-01-02T03:04:05+01:00`, or `Z` for UTC. */
export function formatIn(place: Zone, time: number): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  const { year, month, day: date, hour: hours, minute: minutes, second: seconds } = place.wall(time);
  const offset = Math.trunc(place.offset(time) / minute);
  const ahead = Math.abs(offset);
  const shift = offset === 0 ? "Z" : `${offset < 0 ? "-" : "+"}${two(Math.floor(ahead / 60))}:${two(ahead % 60)}`;
  return `${String(year).padStart(4, "0")}-${two(month)}-${two(date)}T${two(hours)}:${two(minutes)}:${two(seconds)}${shift}`;
}

const weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** RFC 1123 in UTC: `Mon, 02 Jan 2026 15:04:05 +0000`. */
export function formatForPeople(time: number): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  const wall = wallOf(time);
  const date = `${weekdays[wall.weekday]}, ${two(wall.day)} ${months[wall.month - 1]} ${wall.year}`;
  return `${date} ${two(wall.hour)}:${two(wall.minute)}:${two(wall.second)} +0000`;
}
