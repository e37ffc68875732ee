import type { LogEntry } from "./line.ts";

export interface RenderOptions {
  /** Only this many of the last lines. For sources without their own tail; file readers start late instead. */
  tailLines?: number | undefined;
  /** Only entries since this time, in milliseconds since the epoch. */
  since?: number | undefined;
  timestamps?: boolean | undefined;
  limitBytes?: number | undefined;
  stream?: "stdout" | "stderr" | undefined;
}

const newline = Buffer.from("\n");

/** The entries of the last `count` lines: pieces of one line count once. */
export function tailOf(entries: LogEntry[], count: number): LogEntry[] {
  if (count <= 0) return [];
  let lines = 0;
  for (let index = entries.length - 1; index >= 0; index--) {
    if (!entries[index]!.partial) lines++;
    if (lines > count) return entries.slice(index + 1);
  }
  return entries;
}

/**
 * Log entries as the bytes that `kubectl logs` prints. One batch of bytes for each batch of entries; ends when
 * `limitBytes` is reached. `tailLines` applies to the first batch, which then has to contain all existing entries.
 */
export async function* renderLogs(
  batches: AsyncIterable<LogEntry[]>,
  options: RenderOptions,
): AsyncGenerator<Uint8Array> {
  let left = options.limitBytes ?? Number.POSITIVE_INFINITY;
  let first = true;
  // A timestamp precedes a line, not each of its pieces.
  const inLine = { stdout: false, stderr: false };
  for await (const batch of batches) {
    if (left <= 0) return;
    let chosen = options.stream ? batch.filter((entry) => entry.stream === options.stream) : batch;
    if (first && options.tailLines !== undefined) chosen = tailOf(chosen, options.tailLines);
    first = false;
    const parts: Uint8Array[] = [];
    for (const entry of chosen) {
      if (options.since !== undefined && Date.parse(entry.time) < options.since) continue;
      if (options.timestamps && !inLine[entry.stream]) parts.push(Buffer.from(`${entry.time} `));
      parts.push(entry.text);
      if (!entry.partial) parts.push(newline);
      inLine[entry.stream] = entry.partial;
    }
    if (parts.length === 0) continue;
    const bytes = Buffer.concat(parts);
    yield bytes.length > left ? bytes.subarray(0, left) : bytes;
    left -= bytes.length;
    if (left <= 0) return;
  }
}
