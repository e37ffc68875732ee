import {
  chmod,
  chown,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { deepEqual } from "#base";

/** Files by path below the volume, each with its permission bits, and its owner unless that is root. */
export type Payload = Record<string, { bytes: Uint8Array; mode: number; user?: number }>;

/** The link to the subfolder with the present files. */
export const dataLink = "..data";
const newLink = "..data_tmp";

/**
 * Replaces the visible files of a folder by exactly these, atomically: they are written into a new subfolder, to which
 * one symbolic link is then moved. Readers see the old state or the new one, also after a crash. Resolves with whether
 * anything has changed. With `group`, files and folders belong to that group, which may read them.
 */
export async function atomicWrite(folder: string, payload: Payload, group?: number): Promise<boolean> {
  await mkdir(folder, { recursive: true, mode: 0o755 });
  const current = await readlink(join(folder, dataLink)).catch(() => undefined);
  const names = topLevel(payload);
  if (current !== undefined && (await holds(join(folder, current), payload))) {
    // A crash may have happened between the move of the data link and the links to it.
    await setLinks(folder, names);
    return false;
  }
  const next = `..${new Date().toISOString().replace(/[-:]/g, "_").replace(/[TZ]/g, "")}.${process.hrtime.bigint() % 1_000_000_000n}`;
  await writeAll(join(folder, next), payload, group);
  await rm(join(folder, newLink), { force: true });
  await symlink(next, join(folder, newLink));
  await rename(join(folder, newLink), join(folder, dataLink));
  await setLinks(folder, names);
  for (const name of await readdir(folder)) {
    // Also the folders that earlier crashes have left.
    if (name.startsWith("..2") && name !== next) await rm(join(folder, name), { recursive: true, force: true });
  }
  return true;
}

const topLevel = (payload: Payload): Set<string> =>
  new Set(Object.keys(payload).map((path) => path.split("/")[0] ?? ""));

async function writeAll(folder: string, payload: Payload, group: number | undefined): Promise<void> {
  await mkdir(folder, { mode: 0o755 });
  await chmod(folder, 0o755);
  const folders = new Set([folder]);
  for (const [path, { bytes, mode, user }] of Object.entries(payload)) {
    const full = join(folder, path);
    for (let parent = dirname(full); parent !== folder; parent = dirname(parent)) folders.add(parent);
    await mkdir(dirname(full), { recursive: true, mode: 0o755 });
    await writeFile(full, bytes);
    await chmod(full, group === undefined ? mode : mode | 0o440);
    if (group !== undefined || user !== undefined) await chown(full, user ?? -1, group ?? -1);
  }
  if (group === undefined) return;
  for (const one of folders) {
    await chown(one, -1, group);
    await chmod(one, 0o2755);
  }
}

async function holds(folder: string, payload: Payload): Promise<boolean> {
  const present: Payload = {};
  const walk = async (path: string): Promise<void> => {
    for (const entry of await readdir(join(folder, path), { withFileTypes: true })) {
      const inner = path === "" ? entry.name : `${path}/${entry.name}`;
      if (entry.isDirectory()) await walk(inner);
      else
        present[inner] = { bytes: await readFile(join(folder, inner)), mode: (await stat(join(folder, inner))).mode };
    }
  };
  try {
    await walk("");
  } catch {
    return false;
  }
  if (!deepEqual(Object.keys(present).sort(), Object.keys(payload).sort())) return false;
  return Object.entries(payload).every(
    ([path, { bytes, mode }]) =>
      Buffer.compare(present[path]!.bytes, bytes) === 0 && (present[path]!.mode & mode) === mode,
  );
}

/** Creates the links that users see, one for each name at the top, through the data link; removes all others. */
async function setLinks(folder: string, names: Set<string>): Promise<void> {
  for (const name of names) {
    const present = await lstat(join(folder, name)).catch(() => undefined);
    if (!present) await symlink(join(dataLink, name), join(folder, name));
  }
  for (const name of await readdir(folder)) {
    if (!name.startsWith("..") && !names.has(name)) await rm(join(folder, name), { recursive: true, force: true });
  }
}
