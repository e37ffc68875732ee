import { execFile, spawn } from "node:child_process";
import { access, constants, mkdir, rmdir } from "node:fs/promises";
import { isIPv6 } from "node:net";
import { promisify } from "node:util";
import { isMounted, unmount } from "#agent/runtime";
import type { NFSVolumeSource } from "#api";
import { VolumeError } from "./error.ts";

/** Where mount(8) finds its helpers. */
const hostHelpers = ["/sbin/mount.nfs", "/usr/sbin/mount.nfs"];

const run = promisify(execFile);

/** A server that does not answer is tried again after this. */
const timeoutMilliseconds = 120_000;
/** How long an unmount may take before it is forced (upstream's unMountTimeout). */
const unmountMilliseconds = 60_000;

export interface NfsOptions {
  helpers?: readonly string[];
  /** Ends the mount. */
  signal?: AbortSignal | undefined;
}

/**
 * Mounts an export at `path`, unless something is mounted there. Throws VolumeError when the host has no mount.nfs, and
 * with mount(8)'s output as upstream's mount-utils; or the signal's reason.
 */
export async function mountNfs(
  path: string,
  { server, path: exported, readOnly }: NFSVolumeSource,
  { helpers = hostHelpers, signal }: NfsOptions = {},
): Promise<void> {
  if (await isMounted(path)) return;
  if (!(await hasOne(helpers))) {
    throw new VolumeError("this node has no mount.nfs (on Debian it is in the package nfs-common)");
  }
  signal?.throwIfAborted();
  await mkdir(path, { recursive: true, mode: 0o750 });
  const source = `${isIPv6(server) ? `[${server}]` : server}:${exported}`;
  const words = ["-t", "nfs", ...(readOnly ? ["-o", "ro"] : []), source, path];
  const { end, output } = await mount(words, signal);
  if (end === undefined) return;
  if (await isMounted(path)) await unmount(path).catch(() => {});
  await rmdir(path).catch(() => {});
  signal?.throwIfAborted();
  throw new VolumeError(
    `mount failed: ${end}\nMounting command: mount\nMounting arguments: ${words.join(" ")}\nOutput: ${output}`,
  );
}

/** Unmounts an export, by force where its server does not answer. Rejects when it stays mounted. */
export async function unmountNfs(path: string): Promise<void> {
  try {
    await run("umount", [path], { timeout: unmountMilliseconds, killSignal: "SIGKILL" });
  } catch (error) {
    if (!(error as { killed?: boolean }).killed) throw error;
    await run("umount", ["-f", path], { timeout: unmountMilliseconds, killSignal: "SIGKILL" });
  }
}

/**
 * Runs mount(8) in a process group of its own, so that its helper ends with it: a helper that is left behind could
 * mount after the volume has been given up. `end` is how it failed, as Go prints it; undefined when it did not.
 */
function mount(
  words: readonly string[],
  signal: AbortSignal | undefined,
): Promise<{ end: string | undefined; output: string }> {
  const child = spawn("mount", words, { detached: true, stdio: ["ignore", "pipe", "pipe"] });
  const kill = (): void => {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  };
  const timer = setTimeout(kill, timeoutMilliseconds);
  signal?.addEventListener("abort", kill, { once: true });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (part: Buffer) => {
      output += part.toString();
    });
  }
  return new Promise((resolve) => {
    const settle = (end: string | undefined): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", kill);
      resolve({ end, output });
    };
    child.once("error", (error) => settle(error.message));
    child.once("close", (code, name) => {
      if (code === 0) settle(undefined);
      else settle(name === null ? `exit status ${code}` : "signal: killed");
    });
  });
}

async function hasOne(paths: readonly string[]): Promise<boolean> {
  const found = await Promise.allSettled(paths.map((path) => access(path, constants.X_OK)));
  return found.some(({ status }) => status === "fulfilled");
}
