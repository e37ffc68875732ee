const units: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000 };
const part = /(\d+(?:\.\d+)?)([hms])/g;

/** Reads a Go duration of hours, minutes and seconds, such as `1h30m`, as milliseconds; undefined for another text. */
export function parseDuration(text: string): number | undefined {
  if (text === "0") return 0;
  if (!/^(\d+(\.\d+)?[hms])+$/.test(text)) return undefined;
  return [...text.matchAll(part)].reduce((sum, [, count, unit]) => sum + Number(count) * units[unit!]!, 0);
}
