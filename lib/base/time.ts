/** Milliseconds since 1970 as the API writes times: whole seconds, UTC (`2026-01-02T03:04:05Z`). */
export function formatTime(milliseconds: number): string {
  const second = Math.floor(milliseconds / 1000);
  if (second !== last.second) last = { second, text: `${new Date(milliseconds).toISOString().slice(0, 19)}Z` };
  return last.text;
}

/** Nearly all times that are written are now. */
let last = { second: Number.NaN, text: "" };

/** The same with microseconds, as MicroTime is written (`2026-01-02T03:04:05.678000Z`). */
export const formatMicroTime = (milliseconds: number): string =>
  `${new Date(milliseconds).toISOString().slice(0, 23)}000Z`;

/** Milliseconds since 1970 of an RFC 3339 time; NaN for other text. */
export const parseTime = (text: string): number => Date.parse(text);
