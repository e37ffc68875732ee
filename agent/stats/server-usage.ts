import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { DriverUsage } from "./driver-usage.ts";

const run = promisify(execFile);

const timeoutMilliseconds = 60_000;

/**
 * The use of a file system on another machine, as statfs(2) has it (upstream's metricsStatFS). It is read by a process
 * of its own: a server that does not answer would block a thread of this one. Rejects when it cannot be read.
 */
export async function usageOfServer(path: string): Promise<DriverUsage> {
  const words = ["--file-system", "--format=%S %b %f %a %c %d", path];
  const { stdout } = await run("stat", words, { timeout: timeoutMilliseconds, killSignal: "SIGKILL" });
  const [size = 0, blocks = 0, free = 0, available = 0, files = 0, freeFiles = 0] = stdout
    .trim()
    .split(" ")
    .map(Number);
  return {
    bytes: { total: blocks * size, available: available * size, used: (blocks - free) * size },
    inodes: { total: files, available: freeFiles, used: files - freeFiles },
  };
}
