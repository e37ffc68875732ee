import { lstat, opendir } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "#base";

export interface DiskUsage {
  bytes: number;
  inodes: number;
}

/** A measured folder is not read again for this long, as the kubelet's volume statistics. */
const freshMilliseconds = 60_000;
/** Bytes of a block of `stat`, on every file system. */
const blockBytes = 512;

/** The space that folders take, measured at most once a minute each. */
export class DiskUsages {
  readonly #clock: Clock;
  readonly #known = new Map<string, { at: number; usage: Promise<DiskUsage> }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The usage of a folder with all that is in it on the same file system; zero where it does not exist. */
  of(path: string): Promise<DiskUsage> {
    const now = this.#clock.now();
    const known = this.#known.get(path);
    if (known && now - known.at < freshMilliseconds) return known.usage;
    for (const [other, { at }] of this.#known) if (now - at >= freshMilliseconds) this.#known.delete(other);
    const usage = measure(path);
    this.#known.set(path, { at: now, usage });
    return usage;
  }
}

/** As `du -x`: files with several names count once. */
async function measure(path: string): Promise<DiskUsage> {
  const top = await lstat(path).catch(() => undefined);
  const total = { bytes: 0, inodes: 0 };
  if (!top) return total;
  const seen = new Set<number>();
  const folders = [path];
  const count = ({ blocks, ino, nlink }: { blocks: number; ino: number; nlink: number }): void => {
    if (nlink > 1) {
      if (seen.has(ino)) return;
      seen.add(ino);
    }
    total.bytes += blocks * blockBytes;
    total.inodes++;
  };
  count({ ...top, blocks: top.blocks, ino: top.ino, nlink: 1 });
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    // Files come and go while they are counted.
    const entries = await opendir(folder).catch(() => undefined);
    if (!entries) continue;
    for await (const entry of entries) {
      const at = join(folder, entry.name);
      const found = await lstat(at).catch(() => undefined);
      if (!found || found.dev !== top.dev) continue;
      count({ blocks: found.blocks, ino: found.ino, nlink: found.isDirectory() ? 1 : found.nlink });
      if (found.isDirectory()) folders.push(at);
    }
  }
  return total;
}
