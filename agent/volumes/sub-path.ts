import { chmod, constants, type FileHandle, lstat, mkdir, open, realpath, writeFile } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { bindMount, isMounted, unmount } from "#agent/runtime";
import { makeFolders } from "./folders.ts";

/** A handle of a path itself, whatever it is: open(2)'s O_PATH, which Node does not name. */
const pathOnly = 0o10000000 | constants.O_NOFOLLOW;

/** The path of an open file, which no change of the folders above it redirects. */
const pathOf = ({ fd }: FileHandle): string => `/proc/${process.pid}/fd/${fd}`;

/**
 * Opens a `subPath` inside a volume, after creating missing folders with the volume's permissions. Symbolic links are
 * resolved once; a container that exchanges a folder for a link meanwhile causes an error (upstream's doSafeOpen and
 * doSafeMakeDir). Throws an Error when the path leads out of the volume. The caller closes the handle.
 */
export async function openSubPath(volume: string, subPath: string): Promise<FileHandle> {
  const root = await realpath(volume);
  const outside = (): Error => new Error(`subPath "${subPath}" is outside of the volume`);
  const wanted = resolve(root, subPath);
  if (isOutside(root, wanted)) throw outside();
  let existing = wanted;
  while (!(await lstat(existing).catch(() => undefined))) existing = dirname(existing);
  // A link to nothing cannot be resolved, and is no place for a folder.
  const base = await realpath(existing);
  if (isOutside(root, base)) throw outside();
  const names = relative(root, join(base, relative(existing, wanted))).split("/");
  let at = await open(root, pathOnly);
  const { mode } = await at.stat();
  for (const name of names) {
    if (name === "") continue;
    const parent = at;
    try {
      at = await step(parent, name, mode & 0o7777);
    } finally {
      await parent.close();
    }
  }
  return at;
}

/** Opens an entry of an open folder, which is created if it is missing. Throws when the entry is a symbolic link. */
async function step(parent: FileHandle, name: string, mode: number): Promise<FileHandle> {
  const path = join(pathOf(parent), name);
  let entry = await open(path, pathOnly).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
  if (!entry) {
    await mkdir(path, { mode });
    entry = await open(path, pathOnly);
    // The process's umask has limited the mode.
    if ((await entry.stat()).isDirectory()) await chmod(pathOf(entry), mode);
  }
  if (!(await entry.stat()).isSymbolicLink()) return entry;
  await entry.close();
  throw new Error(`unexpected symlink found ${name}`);
}

/** The path of a `subPath` for mounters that may not mount anything. Throws as `openSubPath` does. */
export async function subPathOf(volume: string, subPath: string): Promise<string> {
  const handle = await openSubPath(volume, subPath);
  try {
    return await realpath(pathOf(handle));
  } finally {
    await handle.close();
  }
}

/**
 * Binds a `subPath` to `target`, which the runtime mounts: it resolves the target's path again, and the volume's
 * content is its containers'. A target that shows the same file already is kept; another one is replaced, as
 * upstream's prepareSubpathTarget does. Needs root. Throws as `openSubPath` does.
 */
export async function bindSubPath(volume: string, subPath: string, target: string): Promise<void> {
  const handle = await openSubPath(volume, subPath);
  try {
    const source = await handle.stat();
    if (await isMounted(target)) {
      const present = await lstat(target);
      if (present.dev === source.dev && present.ino === source.ino) return;
      await unmount(target, true);
    }
    await makeFolders(dirname(target), 0o750);
    if (source.isDirectory()) await makeFolders(target, 0o750);
    else await writeFile(target, "", { mode: 0o640 });
    await bindMount(pathOf(handle), target);
  } finally {
    await handle.close();
  }
}

const isOutside = (root: string, path: string): boolean =>
  path !== root && !path.startsWith(root === "/" ? root : `${root}/`);
