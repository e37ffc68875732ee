import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface SkiffProcess {
  dataDir: string;
  kubeconfig: string;
  process: ChildProcess;
  /** Its output so far. */
  readonly said: string;
  stop(): Promise<void>;
}

/** Starts `skiff up` as a user does, and waits until it reports that it is ready. */
export async function startSkiff(
  options: readonly string[],
  dataDir = mkdtempSync(join(tmpdir(), "skiff-")),
): Promise<SkiffProcess> {
  const at = ["--data-dir", dataDir, "--port", "0"];
  const child = spawn(process.execPath, ["--max-semi-space-size=8", "lib/cli/skiff.ts", "up", ...at, ...options], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  const ready = Promise.withResolvers<void>();
  child.stderr.on("data", (chunk: Buffer) => {
    said += chunk;
    if (said.includes("Skiff is ready")) ready.resolve();
  });
  child.once("exit", (code) => ready.reject(new Error(`skiff up ended with code ${code}:\n${said}`)));
  const timer = setTimeout(() => ready.reject(new Error(`skiff up is not ready after 60 s:\n${said}`)), 60_000);
  try {
    await ready.promise;
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  } finally {
    clearTimeout(timer);
  }
  return {
    dataDir,
    kubeconfig: join(dataDir, "kubeconfig"),
    process: child,
    get said() {
      return said;
    },
    async stop() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGTERM");
        await once(child, "exit");
      }
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
