import { chmod, lstat, realpath } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { makeFolders } from "./folders.ts";

/**
 * The path of a `subPath` inside a volume, created as a folder if it does not exist. Symbolic links are resolved once,
 * here; the result contains none. Throws an Error when they lead out of the volume.
 */
export async function subPathOf(volume: string, subPath: string): Promise<string> {
  const root = await realpath(volume);
  const wanted = resolve(root, subPath);
  if (isOutside(root, wanted)) throw new Error(`subPath "${subPath}" is outside of the volume`);
  const found = await realpath(wanted).catch(() => undefined);
  if (found !== undefined) {
    if (isOutside(root, found)) throw new Error(`subPath "${subPath}" is outside of the volume`);
    return found;
  }
  // The existing part must not lead out either, before anything is created below it.
  let existing = wanted;
  while (!(await lstat(existing).catch(() => undefined))) existing = dirname(existing);
  const base = await realpath(existing);
  if (isOutside(root, base)) throw new Error(`subPath "${subPath}" is outside of the volume`);
  const target = join(base, relative(existing, wanted));
  const { mode } = await lstat(root);
  await makeFolders(target);
  await chmod(target, mode & 0o7777);
  return target;
}

const isOutside = (root: string, path: string): boolean => path !== root && !path.startsWith(`${root}/`);
