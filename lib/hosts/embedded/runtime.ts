import { existsSync } from "node:fs";
import { findMissing, installRuntime } from "#agent/runtime/containerd/private";
import type { Progress } from "#base";
import { Refusal } from "./data-folder.ts";
import type { MachineOptions } from "./options.ts";

export type RuntimeName = "containerd" | "fake";

const isRoot = (): boolean => process.getuid?.() === 0;

/**
 * Chooses the container runtime, and installs it on request. Throws Refusal, with what is missing, if it is not
 * available.
 */
export async function chooseRuntime(options: MachineOptions, progress: Progress): Promise<RuntimeName> {
  if (options.runtime === "fake") return "fake";
  const { containerdSocket: socket } = options;
  if (socket !== undefined && !existsSync(socket)) throw new Refusal(`--containerd-socket ${socket} does not exist`);
  if (!isRoot()) {
    throw new Refusal("containers need root: use sudo, or --runtime fake, which simulates containers");
  }
  if (socket !== undefined) return "containerd";
  const missing = await findMissing();
  if (missing.length === 0) return "containerd";
  const names = missing.map(({ what }) => what).join(", ");
  if (!options.installRuntime) {
    throw new Refusal(
      `no container runtime: ${names} missing. Add --install-runtime, or use --runtime fake, which simulates containers`,
    );
  }
  progress.step(`installing ${names}`);
  await installRuntime((line) => progress.note(`  ${line}`));
  progress.done();
  return "containerd";
}
