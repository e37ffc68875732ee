import { readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

export interface Rotation {
  path: string;
  maxBytes: number;
  /** The number of files that are kept, including the current one. */
  maxFiles: number;
  now: number;
  /** Makes the writer reopen its path. */
  reopen: () => Promise<void>;
}

/**
 * Moves a log that exceeds its limit to `<path>.<UTC time>` and lets the writer open a new file; older files beyond
 * the limit are removed. Resolves with whether it has rotated. After a crash behind the move the writer uses the moved
 * file: the next call finds no file at the path and only reopens it.
 */
export async function rotateLog(rotation: Rotation): Promise<boolean> {
  const { path, maxBytes, maxFiles, now } = rotation;
  const found = await stat(path).catch(() => undefined);
  if (!found) {
    await rotation.reopen();
    return false;
  }
  if (found.size <= maxBytes) return false;
  const stamp = new Date(now).toISOString().replace(/[-:]/g, "").replace("T", "-").slice(0, 15);
  const moved = `${path}.${stamp}`;
  await rename(path, moved);
  try {
    await rotation.reopen();
  } catch (error) {
    await rename(moved, path);
    throw error;
  }
  const prefix = `${basename(path)}.`;
  const old = (await readdir(dirname(path))).filter((name) => name.startsWith(prefix)).sort();
  for (const name of old.slice(0, Math.max(0, old.length - (maxFiles - 1)))) {
    await rm(join(dirname(path), name), { force: true });
  }
  return true;
}
