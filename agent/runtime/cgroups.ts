import { readdir, rmdir } from "node:fs/promises";
import { join } from "node:path";

const cgroups = "/sys/fs/cgroup";

/**
 * Removes a cgroup, such as `/kubepods/podabc`, and its children in each hierarchy: one with cgroup v2, one for each
 * controller with cgroup v1. A missing group, or one in use, is left as it is.
 */
export async function removeCgroup(path: string): Promise<void> {
  for (const tree of ["", ...(await readdir(cgroups).catch(() => [] as string[]))]) {
    await removeTree(join(cgroups, tree, path));
  }
}

/** Cgroups are removed from the leaves up; their files are removed with them. */
async function removeTree(path: string): Promise<void> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) if (entry.isDirectory()) await removeTree(join(path, entry.name));
  await rmdir(path).catch(() => {});
}
