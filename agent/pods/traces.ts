import { readdir, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import type { NodeFacts } from "./context.ts";

const cgroups = "/sys/fs/cgroup";

/** Removes what a pod leaves on the machine when nothing of it runs any more: its logs and its cgroups. Repeatable. */
export async function removeTraces(uid: string, node: NodeFacts): Promise<void> {
  for (const name of await readdir(node.logFolder).catch(() => [] as string[])) {
    if (name.endsWith(`_${uid}`)) await rm(join(node.logFolder, name), { recursive: true, force: true });
  }
  // systemd takes its slices down by itself.
  if (node.cgroupDriver !== "cgroupfs") return;
  // One tree with cgroup v2, one for each controller before it.
  const trees = ["", ...(await readdir(cgroups).catch(() => [] as string[]))];
  for (const tree of trees) {
    for (const level of ["", "burstable", "besteffort"]) {
      await removeGroup(join(cgroups, tree, node.cgroupRoot, level, `pod${uid}`));
    }
  }
}

/** A cgroup goes from its leaves up; its files go with it. One that is missing or still in use stays as it is. */
async function removeGroup(path: string): Promise<void> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) if (entry.isDirectory()) await removeGroup(join(path, entry.name));
  await rmdir(path).catch(() => {});
}
