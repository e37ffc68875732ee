import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { unmountBelow } from "#agent/runtime";
import { plugins } from "./plugins.ts";

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
