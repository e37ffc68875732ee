import { execFile } from "node:child_process";
import { readFile, realpath, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** The kernel escapes blanks and some other characters as three octal digits. */
const unescaped = (text: string): string =>
  text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));

/** The mount points below a folder, inner ones before outer ones. */
export async function mountsBelow(folder: string): Promise<string[]> {
  const real = await realpath(folder).catch(() => folder);
  const lines = (await readFile("/proc/mounts", "utf8").catch(() => "")).split("\n");
  const paths = lines.map((line) => unescaped(line.split(" ")[1] ?? ""));
  return paths.filter((path) => path.startsWith(`${real}/`)).reverse();
}

/** Unmounts everything below a folder; with `lazily` also file systems in use. Idempotent. */
export async function unmountBelow(folder: string, lazily = false): Promise<void> {
  for (const path of await mountsBelow(folder)) await unmount(path, lazily);
}

/** Unmounts one mount point; with `lazily` also one in use. Rejects when nothing is mounted there. */
export async function unmount(path: string, lazily = false): Promise<void> {
  await run("umount", lazily ? ["-l", path] : [path]);
}

/** Whether something is mounted at exactly this path, a bind mount of the same file system included. */
export async function isMounted(path: string): Promise<boolean> {
  const folder = await realpath(dirname(path)).catch(() => undefined);
  return folder !== undefined && (await mountsBelow(folder)).includes(join(folder, basename(path)));
}

/** Shows `source` at `target` too. Symbolic links in `source` are left to the kernel, such as /proc/1/fd/3. */
export async function bindMount(source: string, target: string): Promise<void> {
  await run("mount", ["--no-canonicalize", "--bind", source, target]);
}

/** Whether a folder is on another file system than its parent. False when it does not exist. */
export async function isMountPoint(folder: string): Promise<boolean> {
  const [own, parent] = await Promise.all([folder, dirname(folder)].map((path) => stat(path).catch(() => undefined)));
  return own !== undefined && parent !== undefined && own.dev !== parent.dev;
}

/** Mounts a file system; `bind` as a type is an option of mount(8). Needs root. */
export async function mountFileSystem(folder: string, type: string, source: string, options: string[]): Promise<void> {
  if (type !== "bind") {
    await run("mount", ["-t", type, "-o", options.join(","), source, folder]);
    return;
  }
  await run("mount", ["--rbind", source, folder]);
  await run("mount", ["-o", "remount,bind,ro", folder]);
}

/** Whether the kernel can keep tmpfs out of the swap (Linux 6.4, outside of user namespaces); undefined: not tried yet. */
let canStaySwapless: boolean | undefined;

/** Mounts a file system in memory, which is never swapped where the kernel can do that. `options` are those of mount(8). Needs root. */
export async function mountMemory(folder: string, options: string[]): Promise<void> {
  const mount = (words: string[]) => run("mount", ["-t", "tmpfs", ...words, "tmpfs", folder]);
  if (canStaySwapless !== false) {
    try {
      await mount(["-o", [...options, "noswap"].join(",")]);
      canStaySwapless = true;
      return;
    } catch (error) {
      if (canStaySwapless) throw error;
    }
  }
  await mount(options.length === 0 ? [] : ["-o", options.join(",")]);
  canStaySwapless = false;
}
