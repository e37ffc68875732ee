/** One piece of output with its time. A line longer than the runtime's limit has several pieces. */
export interface LogEntry {
  /** RFC 3339 with nanoseconds, as written. */
  time: string;
  stream: "stdout" | "stderr";
  /** Without the newline. */
  text: Uint8Array;
  /** Whether the line continues in the stream's next entry. */
  partial: boolean;
}

const space = 0x20;
const stdout = Buffer.from("stdout");
const stderr = Buffer.from("stderr");

/**
 * Reads one line of a CRI log, `<time> <stream> <tags> <text>`, without its newline; tags are separated by colons
 * and the first is P (partial) or F (full). Undefined for every other line.
 */
export function parseLogLine(line: Buffer): LogEntry | undefined {
  const first = line.indexOf(space);
  const second = line.indexOf(space, first + 1);
  if (first <= 0 || second < 0) return undefined;
  // A line without text may end right after its tags.
  let third = line.indexOf(space, second + 1);
  if (third < 0) third = line.length;
  const name = line.subarray(first + 1, second);
  const stream = name.equals(stdout) ? "stdout" : name.equals(stderr) ? "stderr" : undefined;
  const tag = String.fromCharCode(line[second + 1] ?? 0);
  if (!stream || (tag !== "P" && tag !== "F")) return undefined;
  return {
    time: line.toString("latin1", 0, first),
    stream,
    text: line.subarray(Math.min(third + 1, line.length)),
    partial: tag === "P",
  };
}

/** Splits bytes into lines; the bytes after the last newline are stored for the next call. */
export function lineSplitter(): (chunk: Buffer) => Buffer[] {
  let rest: Buffer | undefined;
  return (chunk) => {
    const bytes = rest ? Buffer.concat([rest, chunk]) : chunk;
    const lines: Buffer[] = [];
    let start = 0;
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
      lines.push(bytes.subarray(start, end));
      start = end + 1;
    }
    rest = start < bytes.length ? Buffer.from(bytes.subarray(start)) : undefined;
    return lines;
  };
}
