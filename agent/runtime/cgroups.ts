import { readdir, rmdir } from "node:fs/promises";
import { join } from "node:path";

const cgroups = "/sys/fs/cgroup";

/**
 * Removes a cgroup and those in it, such as `/kubepods/podabc`, in each tree: one with cgroup v2, one for each
 * controller before it. A group that is missing or in use stays as it is.
 */
export async function removeCgroup(path: string): Promise<void> {
  for (const tree of ["", ...(await readdir(cgroups).catch(() => [] as string[]))]) {
    await removeTree(join(cgroups, tree, path));
  }
}

/** A cgroup goes from its leaves up; its files go with it. */
async function removeTree(path: string): Promise<void> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) if (entry.isDirectory()) await removeTree(join(path, entry.name));
  await rmdir(path).catch(() => {});
}
