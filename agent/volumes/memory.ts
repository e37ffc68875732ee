import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { isMountPoint, mountMemory, unmountBelow } from "#agent/runtime";
import { plugins } from "./plugins.ts";

/** One file system in memory for the secrets and tokens of all pods, beside pods' folders, which are named by uid. */
export const memoryFolder = (folder: string): string => join(folder, ".memory");

/** Mounts the file system for secrets if it is not mounted. Needs root. */
export async function ensureMemory(folder: string): Promise<void> {
  const memory = memoryFolder(folder);
  await mkdir(memory, { recursive: true, mode: 0o700 });
  if (!(await isMountPoint(memory))) await mountMemory(memory, ["mode=0700"]);
}

/**
 * Unmounts pods' volumes in memory while no pod runs, and removes secrets that an earlier version stored on the disk.
 * `folder` is the parent of pods' folders. Idempotent; the next mount creates everything again.
 */
export async function dropMemory(folder: string): Promise<void> {
  await unmountBelow(folder, true);
  for (const uid of await readdir(folder).catch(() => [] as string[])) {
    for (const plugin of [plugins.secret, plugins.projected]) {
      await rm(join(folder, uid, "volumes", plugin), { recursive: true, force: true });
    }
  }
}
