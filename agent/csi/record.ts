import { open, readdir, readFile, rename, rm, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isMounted } from "#agent/runtime";

/** What is known of a volume that may be published, with upstream's names. */
export interface VolumeRecord {
  specVolID: string;
  volumeHandle: string;
  driverName: string;
  nodeName: string;
  volumeLifecycleMode: "Ephemeral" | "Persistent";
  attachmentID: string;
}

const fileName = "vol_data.json";

/** Where a driver publishes a volume, below the volume's folder. */
export const targetOf = (folder: string): string => join(folder, "mount");

/** Stores the record, also over a crash of the machine: whatever is published after it can be found. */
export async function writeRecord(folder: string, record: VolumeRecord): Promise<void> {
  const next = join(folder, `.${fileName}`);
  const file = await open(next, "w", 0o600);
  try {
    await file.writeFile(`${JSON.stringify(record)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(next, join(folder, fileName));
  const parent = await open(folder, "r");
  try {
    await parent.sync();
  } finally {
    await parent.close();
  }
}

/** Undefined where there is none, so that nothing has been published. Rejects when it cannot be read. */
export async function readRecord(folder: string): Promise<VolumeRecord | undefined> {
  const text = await readFile(join(folder, fileName), "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  return text === undefined ? undefined : (JSON.parse(text) as VolumeRecord);
}

/** Names of the volumes that have folders. */
export const recordedVolumes = (parent: string): Promise<string[]> => readdir(parent).catch(() => []);

export const isAbsent = async (folder: string): Promise<boolean> =>
  !(await readdir(dirname(folder)).catch(() => [] as string[])).includes(folder.slice(dirname(folder).length + 1));

/**
 * Removes a volume's folder with its record, unless the volume is still mounted or has files: then everything stays.
 * The record goes after the target, and the folder last (upstream's removeMountDir).
 */
export async function removeFolder(folder: string): Promise<void> {
  const target = targetOf(folder);
  if (await isMounted(target)) return;
  try {
    await rmdir(target);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOTDIR") await rm(target);
    else if (code !== "ENOENT") return;
  }
  await rm(join(folder, `.${fileName}`), { force: true });
  await rm(join(folder, fileName), { force: true });
  await rmdir(folder).catch(() => {});
}
