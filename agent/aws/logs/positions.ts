import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Line } from "./lines.ts";

/** The sent part of a stream: everything up to the `count`th line with this stamp. */
export interface Position {
  stamp: string;
  count: number;
  /** The container has exited and everything is sent. */
  done?: true;
}

/** Stores positions of streams on the disk. */
export interface Positions {
  read(stream: string): Promise<Position | undefined>;
  write(stream: string, position: Position): Promise<void>;
  remove(stream: string): Promise<void>;
  /** Removes all but these streams. */
  keepOnly(streams: ReadonlySet<string>): Promise<void>;
}

const fileOf = (stream: string): string => `${createHash("sha256").update(stream).digest("hex").slice(0, 32)}.json`;

export async function positionsIn(folder: string): Promise<Positions> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return {
    async read(stream) {
      try {
        return JSON.parse(await readFile(join(folder, fileOf(stream)), "utf8")) as Position;
      } catch {
        // None yet, or truncated by a crash: the stream starts again, and some lines are sent twice.
        return undefined;
      }
    },
    async write(stream, position) {
      const path = join(folder, fileOf(stream));
      await writeFile(`${path}.new`, JSON.stringify(position), { mode: 0o600 });
      await rename(`${path}.new`, path);
    },
    remove: (stream) => rm(join(folder, fileOf(stream)), { force: true }),
    async keepOnly(streams) {
      // One may be written at the same time.
      const kept = new Set([...streams].flatMap((stream) => [fileOf(stream), `${fileOf(stream)}.new`]));
      for (const name of await readdir(folder)) if (!kept.has(name)) await rm(join(folder, name), { force: true });
    },
  };
}

/** The position after a line that follows a position. */
export const after = (position: Position | undefined, { stamp }: Line): Position => ({
  stamp,
  count: position?.stamp === stamp ? position.count + 1 : 1,
});

/**
 * Milliseconds before the position from which lines are read again: the runtime's order is not exactly that of times.
 */
export const overlapMilliseconds = 1000;

/** Returns a function that decides for each line, in order, whether it is after the position. */
export function resumeAfter(position: Position | undefined): (line: Line) => boolean {
  if (!position) return () => true;
  const at = Date.parse(position.stamp);
  let left = position.count;
  let reached = false;
  const isNew = (line: Line): boolean => {
    if (reached) return true;
    if (line.stamp === position.stamp) {
      left--;
      reached = left === 0;
      return false;
    }
    // The line itself no longer exists; later lines are new.
    reached = line.at > at;
    return reached;
  };
  let begun = false;
  let taken = false;
  return (line) => {
    // The pieces of one line are all new or all old.
    if (!begun) taken = isNew(line);
    begun = !line.ends;
    return taken;
  };
}
