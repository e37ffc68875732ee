import { execFile } from "node:child_process";
import { access, constants, mkdir, rmdir } from "node:fs/promises";
import { isIPv6 } from "node:net";
import { promisify } from "node:util";
import { isMounted } from "#agent/runtime";
import type { NFSVolumeSource } from "#api";
import { VolumeError } from "./error.ts";

const run = promisify(execFile);

/** Where mount(8) finds its helpers. */
const hostHelpers = ["/sbin/mount.nfs", "/usr/sbin/mount.nfs"];

/** A server that does not answer must not hold a pod's other work for longer than this. */
const timeoutMilliseconds = 120_000;

/**
 * Mounts an export at `path`, unless something is mounted there. Throws VolumeError when the host has no mount.nfs, and
 * with mount(8)'s message.
 */
export async function mountNfs(
  path: string,
  { server, path: exported, readOnly }: NFSVolumeSource,
  helpers: readonly string[] = hostHelpers,
): Promise<void> {
  if (await isMounted(path)) return;
  if (!(await hasOne(helpers))) {
    throw new VolumeError("this node has no mount.nfs (on Debian it is in the package nfs-common)");
  }
  await mkdir(path, { recursive: true, mode: 0o750 });
  const source = `${isIPv6(server) ? `[${server}]` : server}:${exported}`;
  const options = readOnly ? ["-o", "ro"] : [];
  try {
    await run("mount", ["-t", "nfs", ...options, source, path], { timeout: timeoutMilliseconds });
  } catch (error) {
    if (!(await isMounted(path))) await rmdir(path).catch(() => {});
    const { stderr = "", message } = error as Error & { stderr?: string };
    throw new VolumeError(`mount failed: ${stderr.trim() || message}`, { cause: error });
  }
}

async function hasOne(helpers: readonly string[]): Promise<boolean> {
  for (const path of helpers) {
    if (
      await access(path, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return true;
  }
  return false;
}
