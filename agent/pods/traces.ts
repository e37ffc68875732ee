import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { removeCgroup } from "#agent/runtime";
import type { NodeFacts } from "./context.ts";

/** Removes what a pod leaves on the machine when nothing of it runs any more: its logs and its cgroups. Repeatable. */
export async function removeTraces(uid: string, node: NodeFacts): Promise<void> {
  for (const name of await readdir(node.logFolder).catch(() => [] as string[])) {
    if (name.endsWith(`_${uid}`)) await rm(join(node.logFolder, name), { recursive: true, force: true });
  }
  // systemd takes its slices down by itself.
  if (node.cgroupDriver !== "cgroupfs") return;
  for (const level of ["", "burstable", "besteffort"]) {
    await removeCgroup(join(node.cgroupRoot, level, `pod${uid}`));
  }
}
