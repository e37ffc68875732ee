import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { removeCgroup } from "#agent/runtime";
import type { NodeFacts } from "./context.ts";

/** Removes the logs and the cgroups that an ended pod has left on the machine. Idempotent. */
export async function cleanUpPod(uid: string, node: NodeFacts): Promise<void> {
  for (const name of await readdir(node.logFolder).catch(() => [] as string[])) {
    if (name.endsWith(`_${uid}`)) await rm(join(node.logFolder, name), { recursive: true, force: true });
  }
  // systemd removes its slices itself.
  if (node.cgroupDriver !== "cgroupfs") return;
  for (const level of ["", "burstable", "besteffort"]) {
    await removeCgroup(join(node.cgroupRoot, level, `pod${uid}`));
  }
}
