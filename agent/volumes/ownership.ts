import type { Stats } from "node:fs";
import { chmod, lchown, lstat, opendir, stat } from "node:fs/promises";
import { join } from "node:path";

export interface Ownership {
  group: number;
  readOnly: boolean;
  /** `OnRootMismatch` leaves a volume as it is whose root has the group and its permissions already. */
  policy?: string | undefined;
}

const setGroupId = 0o2000;

/**
 * Gives a volume's files to a group, which may use them: reads and writes, or only reads a read-only volume, and enters
 * folders, where new files get the group too. The root is changed last, so that an interrupted change is seen at the
 * root (upstream's VolumeOwnership). Files that cannot be changed are left as they are, also as upstream does.
 */
export async function changeOwnership(root: string, ownership: Ownership): Promise<void> {
  if (ownership.policy === "OnRootMismatch" && (await matches(root, ownership))) return;
  await walk(root, ownership);
}

async function walk(path: string, ownership: Ownership): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  // Another node or a container may remove files meanwhile.
  if (!found) return;
  if (found.isDirectory()) {
    for await (const { name } of await opendir(path)) await walk(join(path, name), ownership);
  }
  await change(path, found, ownership);
}

async function change(path: string, found: Stats, { group, readOnly }: Ownership): Promise<void> {
  await lchown(path, -1, group).catch(() => {});
  // chmod follows symbolic links.
  if (found.isSymbolicLink()) return;
  const bits = (readOnly ? 0o440 : 0o660) | (found.isDirectory() ? 0o110 | setGroupId : 0);
  await chmod(path, (found.mode & 0o7777) | bits).catch(() => {});
}

/** Whether the root has the group, at least its permissions, and gives the group to new files. */
async function matches(root: string, { group, readOnly }: Ownership): Promise<boolean> {
  const found = await stat(root).catch(() => undefined);
  if (!found?.isDirectory() || found.gid !== group) return false;
  const bits = (readOnly ? 0o440 : 0o660) | 0o110;
  return (found.mode & bits) === bits && (found.mode & setGroupId) !== 0;
}
