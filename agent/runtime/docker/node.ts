import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Runtime } from "#agent/runtime";
import { CniNetwork } from "#agent/runtime/cni";
import {
  findPluginFolder,
  mayLowerOomScore,
  type PodNetwork,
  podNetworkConfig,
  repairBridge,
  sandboxImage,
  sandboxImageName,
} from "#agent/runtime/containerd/private";
import { type Log, silentLog, systemClock } from "#base";
import { dockerRuntime } from "./runtime.ts";

export interface DockerRequest {
  socket: string;
  /** The node's name. */
  owner: string;
  /** The folder of the driver's files. */
  folder: string;
  network: Omit<PodNetwork, "folder">;
  log: Log;
}

/** What `skiff down` needs to know of a node. It is written before the first pod. */
interface Stored {
  socket: string;
  owner: string;
  bridge: string;
  /** The CNI configuration. */
  config: string;
}

const storedFile = "docker.json";

/** The driver of an engine, with the same bridge as a containerd of our own. Rejects when the engine does not answer. */
export async function openDocker({ socket, owner, folder, network, log }: DockerRequest): Promise<Runtime> {
  const state = await repairBridge(network, log);
  if (!state.ok) throw new Error(state.message);
  const config = podNetworkConfig({ ...network, folder: join(folder, "addresses") });
  const stored: Stored = { socket, owner, bridge: network.bridge, config };
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, storedFile);
  await writeFile(`${path}.new`, JSON.stringify(stored), { mode: 0o600 });
  await rename(`${path}.new`, path);
  const runtime = await openDriver(stored, folder, log);
  await runtime.info();
  return runtime;
}

async function openDriver({ socket, owner, config }: Stored, folder: string, log: Log): Promise<Runtime> {
  return dockerRuntime({
    ...{ socket, owner, folder, log, clock: systemClock },
    network: new CniNetwork({ config, pluginFolder: await findPluginFolder() }),
    sandboxImage: { name: sandboxImageName, image: sandboxImage(process.arch === "arm64" ? "arm64" : "amd64") },
    restrictOomScore: !(await mayLowerOomScore()),
  });
}

/**
 * Removes every pod of the node with these files, and its bridge unless other interfaces use it. The engine keeps
 * running. Idempotent. Rejects when the engine does not answer.
 */
export async function removeDockerPods(folder: string): Promise<void> {
  const text = await readFile(join(folder, storedFile), "utf8").catch(() => undefined);
  if (text === undefined) return;
  const stored = JSON.parse(text) as Stored;
  const runtime = await openDriver(stored, folder, silentLog);
  try {
    for (const sandbox of await runtime.pods.list()) await runtime.pods.removeSandbox(sandbox.id);
  } finally {
    await runtime.close();
  }
  const ports = await readdir(`/sys/class/net/${stored.bridge}/brif`).catch(() => undefined);
  if (ports?.length === 0) await promisify(execFile)("ip", ["link", "delete", stored.bridge]);
}
