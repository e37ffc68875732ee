import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { unmountBelow } from "#agent/runtime";
import { type Clock, type Log, messageOf, sleep } from "#base";
import { RuntimeChannel } from "../channel.ts";
import { criClient } from "../cri-client.ts";
import { importImage } from "../import.ts";
import type { SandboxItem } from "../items.ts";
import {
  containerdConfig,
  mirrorFiles,
  type PodNetwork,
  type PrivatePaths,
  podNetworkConfig,
  privatePaths,
  type RegistryMirrors,
} from "./config.ts";
import { findPluginFolder } from "./install.ts";
import { endProcess, findProcess, startProcess, waitUntilReady } from "./process.ts";
import { sandboxImage, sandboxImageName } from "./sandbox-image.ts";

const run = promisify(execFile);

const networkFile = "10-skiff.conflist";

export interface PrivateOptions {
  /** The folder of all its files; the socket's path must fit into 108 bytes. */
  folder: string;
  network: Omit<PodNetwork, "folder">;
  mirrors: RegistryMirrors;
  log: Log;
}

export interface PrivateContainerd {
  socket: string;
  pid: number;
  /** It was already running, with its containers. */
  adopted: boolean;
}

/**
 * Makes sure that the containerd of this folder runs with these settings. A running one is adopted; if its settings
 * differ it is restarted, which does not affect containers. Throws an Error with its log when it cannot start.
 */
export async function startPrivate(options: PrivateOptions): Promise<PrivateContainerd> {
  const paths = privatePaths(options.folder);
  if (Buffer.byteLength(paths.socket) > 107) {
    throw new Error(`the socket path ${paths.socket} is longer than Linux allows (107 bytes): choose a shorter folder`);
  }
  for (const folder of [paths.folder, paths.registries, paths.network])
    await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeMirrors(paths, options.mirrors);
  const network = { ...options.network, folder: join(paths.folder, "addresses") };
  await writeIfNew(join(paths.network, networkFile), podNetworkConfig(network));
  const config = containerdConfig(paths, {
    pluginFolder: await findPluginFolder(),
    snapshotter: await chooseSnapshotter(paths.folder),
    restrictOomScore: !(await mayLowerOomScore()),
  });
  let pid = await findProcess(paths.config);
  if ((await writeIfNew(paths.config, config)) && pid !== undefined) {
    options.log.info("containerd is started again with new settings", { pid });
    await endProcess(pid);
    pid = undefined;
  }
  const adopted = pid !== undefined;
  pid ??= await startProcess(paths.config, paths.log);
  await waitUntilReady(paths.socket, pid, paths.log);
  await importImage(paths.socket, sandboxImageName, sandboxImage(process.arch === "arm64" ? "arm64" : "amd64"));
  options.log.info(adopted ? "containerd was running and is used" : "containerd is started", { pid });
  return { socket: paths.socket, pid, adopted };
}

/** How often the process is checked. */
const checkMilliseconds = 3000;

/** Restarts the containerd of this folder whenever it has ended, until the signal aborts. Containers run on. */
export async function keepPrivate(options: PrivateOptions, clock: Clock, signal: AbortSignal): Promise<void> {
  const { config } = privatePaths(options.folder);
  let pid: number | undefined;
  while (!signal.aborted) {
    await sleep(clock, checkMilliseconds, signal);
    if (signal.aborted) return;
    pid = await findProcess(config, pid);
    if (pid !== undefined) continue;
    try {
      options.log.warn("containerd has ended and is started again");
      await startPrivate(options);
    } catch (error) {
      options.log.error("containerd could not be started", { error: messageOf(error) });
    }
  }
}

/**
 * Removes every pod of this folder's containerd, ends it, and removes its mounts and its bridge. Idempotent.
 */
export async function stopPrivate(folder: string): Promise<void> {
  const paths = privatePaths(folder);
  const pid = await runningProcess(paths);
  if (pid !== undefined) {
    await removeAllPods(paths.socket);
    await endProcess(pid);
  }
  await unmountBelow(folder, true);
  await removeBridge(paths);
}

/** The containerd of this folder. One that has ended is started again, since its containers may still run. */
async function runningProcess(paths: PrivatePaths): Promise<number | undefined> {
  const pid = await findProcess(paths.config);
  if (pid !== undefined) return pid;
  const hasPods = await readdir(`${paths.folder}/state/io.containerd.runtime.v2.task/k8s.io`).catch(() => []);
  if (hasPods.length === 0) return undefined;
  const started = await startProcess(paths.config, paths.log);
  await waitUntilReady(paths.socket, started, paths.log);
  return started;
}

/** Removes the bridge of the network's configuration, unless it has interfaces of others. */
async function removeBridge(paths: PrivatePaths): Promise<void> {
  const text = await readFile(join(paths.network, networkFile), "utf8").catch(() => undefined);
  if (text === undefined) return;
  const { plugins } = JSON.parse(text) as { plugins: [{ bridge: string }] };
  const { bridge } = plugins[0];
  const ports = await readdir(`/sys/class/net/${bridge}/brif`).catch(() => undefined);
  // Our pods have no interfaces any more: remaining ones belong to another cluster of an earlier version.
  if (ports?.length === 0) await run("ip", ["link", "delete", bridge]);
}

async function removeAllPods(socket: string): Promise<void> {
  const channel = new RuntimeChannel(socket);
  const cri = criClient(channel, "");
  try {
    const { items } = await cri.runtime<{ items: SandboxItem[] }>("ListPodSandbox", {});
    await Promise.all(
      items.map(async ({ id }) => {
        await cri.runtime("StopPodSandbox", { pod_sandbox_id: id });
        await cri.runtime("RemovePodSandbox", { pod_sandbox_id: id });
      }),
    );
  } finally {
    channel.close();
  }
}

async function writeMirrors(paths: PrivatePaths, mirrors: RegistryMirrors): Promise<void> {
  const files = mirrorFiles(mirrors);
  await rm(paths.registries, { recursive: true, force: true });
  for (const [name, content] of Object.entries(files)) {
    const path = join(paths.registries, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
  }
}

/** Resolves with whether the file was different. A crash leaves the old file or the new one. */
async function writeIfNew(path: string, content: string): Promise<boolean> {
  if ((await readFile(path, "utf8").catch(() => undefined)) === content) return false;
  await writeFile(`${path}.new`, content, { mode: 0o600 });
  await rename(`${path}.new`, path);
  return true;
}

const capSysResource = 24n;

/** Whether this process may set an oom_score_adj below its own. */
export async function mayLowerOomScore(): Promise<boolean> {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(await readFile("/proc/self/status", "utf8"))?.[1] ?? "0";
  return ((BigInt(`0x${effective}`) >> capSysResource) & 1n) === 1n;
}

/** Overlay file systems cannot be stacked, as inside a container; copying always works. */
async function chooseSnapshotter(folder: string): Promise<"overlayfs" | "native"> {
  const { stdout } = await run("stat", ["-f", "-c", "%T", folder]);
  const known = await readFile("/proc/filesystems", "utf8");
  return stdout.trim() !== "overlayfs" && /\boverlay\b/.test(known) ? "overlayfs" : "native";
}
