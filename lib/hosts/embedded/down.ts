import { existsSync } from "node:fs";
import { join } from "node:path";
import { removeRules } from "#agent/network";
import { removeRoutes } from "#agent/overlay";
import { removeCgroup, stopPrivate } from "#agent/runtime/containerd/private";
import { removeDockerPods } from "#agent/runtime/docker";
import { dropMemory } from "#agent/volumes";
import { messageOf, type Progress, silentLog, sleep, systemClock } from "#base";
import { type DataFolder, dataFolder, isAlive, lockFolder, Refusal, readRunning } from "./data-folder.ts";
import { readMembership } from "./membership.ts";
import { readNetwork } from "./network.ts";
import type { DownOptions } from "./options.ts";

/** Milliseconds for which down() waits until the cluster's process has exited. */
const exitTimeout = 20_000;

/** `skiff down`: ends the cluster of a data folder and removes its containers. Its objects stay for the next start. */
export async function down({ dataDir }: DownOptions, progress: Progress): Promise<number> {
  const folder = dataFolder(dataDir);
  if (!existsSync(folder.root)) throw new Refusal(`there is no cluster in ${folder.root}`);
  const running = readRunning(folder);
  if (running && isAlive(running.pid)) {
    progress.step(`stopping the cluster (process ${running.pid})`);
    process.kill(running.pid, "SIGTERM");
    const end = systemClock.now() + exitTimeout;
    while (isAlive(running.pid) && systemClock.now() < end) await sleep(systemClock, 100);
    if (isAlive(running.pid)) throw new Refusal(`process ${running.pid} does not end; its log is in ${folder.logs}`);
    progress.done();
  }
  // No cluster may start here while its containers are removed.
  const lock = lockFolder(folder);
  try {
    for (const runtime of ["containerd", "docker"]) {
      const home = join(folder.agents, runtime);
      if (!existsSync(home)) continue;
      progress.step("removing containers");
      if (runtime === "docker") await removeDockerPods(join(home, "docker"));
      else await stopPrivate(join(home, "containerd"));
      await dropMemory(join(home, "pods"));
      await removeTraces(folder, progress);
      progress.done();
    }
  } finally {
    lock.release();
  }
  progress.note(rest(folder));
  return 0;
}

/** What stays. A membership that cannot be read stays, too. */
function rest(folder: DataFolder): string {
  try {
    const member = readMembership(folder);
    if (!member) return `The cluster's objects stay in ${folder.root}.`;
    const left = `The node ${member.name} stays in the cluster of ${member.server} until it is deleted there`;
    return `${left}; its certificate stays in ${folder.root}.`;
  } catch (error) {
    return messageOf(error);
  }
}

/**
 * Removes the rules of services, the routes to other nodes and the cgroups. They do no harm without containers: if the cluster's name for them
 * cannot be read, or they cannot be removed, they stay.
 */
async function removeTraces(folder: DataFolder, progress: Progress): Promise<void> {
  try {
    const network = readNetwork(folder, silentLog);
    if (!network) return;
    await removeRules(network.bridge);
    await removeRoutes(network.bridge, network.podCidr);
    await removeCgroup(network.cgroupRoot);
  } catch (error) {
    progress.note(`Rules of its services, routes to other nodes and cgroups of its pods may stay: ${messageOf(error)}`);
  }
}
