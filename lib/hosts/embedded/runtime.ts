import { existsSync } from "node:fs";
import { findMissing, installRuntime } from "#agent/runtime/containerd/private";
import { defaultSocket } from "#agent/runtime/docker";
import { messageOf, type Progress } from "#base";
import { Refusal } from "./data-folder.ts";
import type { MachineOptions } from "./options.ts";

export type RuntimeName = "containerd" | "docker" | "fake";

/** The socket of the engine. Throws Refusal for an engine of another machine. */
export function dockerSocketOf({ dockerSocket }: MachineOptions): string {
  try {
    return dockerSocket ?? defaultSocket(process.env);
  } catch (error) {
    throw new Refusal(messageOf(error));
  }
}

/** Throws Refusal with what the docker runtime lacks. */
async function checkDocker(options: MachineOptions): Promise<void> {
  const socket = dockerSocketOf(options);
  if (!existsSync(socket)) throw new Refusal(`--runtime docker: the engine's socket ${socket} does not exist`);
  if (options.registryMirror.length > 0) {
    throw new Refusal("--registry-mirror is not for --runtime docker: mirrors are the engine's own configuration");
  }
  const plugins = (await findMissing()).filter(({ what }) => what.includes("CNI"));
  if (plugins.length > 0) throw new Refusal(`--runtime docker needs ${plugins.map(({ what }) => what).join(", ")}`);
}

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
  if (options.runtime === "docker") {
    await checkDocker(options);
    return "docker";
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
