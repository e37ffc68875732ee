import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { unmountBelow } from "#agent/runtime";
import { plugins } from "./plugins.ts";

/**
 * Takes down what pods have in memory while none of them runs, and removes secrets that an earlier version kept on the
 * disk. `folder` is where pods' folders lie. Repeatable; the next mount makes everything again.
 */
export async function dropMemory(folder: string): Promise<void> {
  await unmountBelow(folder, true);
  for (const uid of await readdir(folder).catch(() => [] as string[])) {
    for (const plugin of [plugins.secret, plugins.projected]) {
      await rm(join(folder, uid, "volumes", plugin), { recursive: true, force: true });
    }
  }
}
