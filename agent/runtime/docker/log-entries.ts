import { type Frame, frameSplitter } from "./frames.ts";

/** One piece of output: its time, and itself as a line of the CRI's format. */
export interface OutputEntry {
  nanoseconds: bigint;
  line: Buffer;
}

const newline = 10;

/**
 * Splits an engine's output with timestamps into entries: one for each frame, or with a terminal for each line. A frame
 * without a newline at its end is a part of a line.
 */
export function entrySplitter(tty: boolean): (chunk: Buffer) => OutputEntry[] {
  const split = tty ? lineFrames() : frameSplitter();
  return (chunk) =>
    split(chunk)
      .map(entryOf)
      .filter((entry) => entry !== undefined);
}

/** A terminal's output has no frames, and all of it is stdout. */
function lineFrames(): (chunk: Buffer) => Frame[] {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    const bytes = Buffer.concat([rest, chunk]);
    const frames: Frame[] = [];
    let start = 0;
    for (let end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, start)) {
      frames.push({ stream: "stdout", bytes: bytes.subarray(start, end + 1) });
      start = end + 1;
    }
    rest = Buffer.from(bytes.subarray(start));
    return frames;
  };
}

function entryOf({ stream, bytes }: Frame): OutputEntry | undefined {
  const blank = bytes.indexOf(0x20);
  if (blank <= 0) return undefined;
  const nanoseconds = nanosecondsOf(bytes.toString("latin1", 0, blank));
  const isWhole = bytes.at(-1) === newline;
  const text = bytes.subarray(blank + 1, isWhole ? bytes.length - 1 : bytes.length);
  const head = `${timeOf(nanoseconds)} ${stream} ${isWhole ? "F" : "P"} `;
  return { nanoseconds, line: Buffer.concat([Buffer.from(head), text, Buffer.from("\n")]) };
}

/** Nanoseconds since the epoch; 0 for a text that is no time. */
export function nanosecondsOf(time: string): bigint {
  const match = /^(.*T\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(time);
  if (!match) return 0n;
  const seconds = Date.parse(`${match[1]}${match[3]}`) / 1000;
  return BigInt(seconds) * 1_000_000_000n + BigInt((match[2] ?? "").padEnd(9, "0"));
}

/** RFC 3339 in UTC with all nine digits, as containerd writes it. */
function timeOf(nanoseconds: bigint): string {
  const seconds = new Date(Number(nanoseconds / 1_000_000_000n) * 1000).toISOString().slice(0, 19);
  return `${seconds}.${String(nanoseconds % 1_000_000_000n).padStart(9, "0")}Z`;
}
