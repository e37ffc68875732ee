import type { Runtime, SandboxStats } from "#agent/runtime";
import { type Clock, formatTime } from "#base";
import type { Pressure } from "./cgroup.ts";
import type { DiskUsage } from "./disk.ts";
import { defaultInterface, type Filesystem, filesystemOf, readInterfaces, readProcesses } from "./host.ts";
import type { PodDisks } from "./pod-disk.ts";
import type { ContainerSample, Measured, PodSample, Sample } from "./sample.ts";

export interface SummaryOptions {
  node: string;
  runtime: Runtime;
  clock: Clock;
  /** When the kubelet started, in milliseconds since the epoch. */
  startedAt: number;
  /** No real disk and network: only processors and memory are reported. */
  simulated: boolean;
  /** The folder of the node's state, whose file system is the node's. */
  folder: string;
}

/** Answers `/stats/summary` as the kubelet (stats/v1alpha1 Summary). */
export class Summaries {
  readonly #options: SummaryOptions;
  readonly #disks: PodDisks;

  constructor(options: SummaryOptions, disks: PodDisks) {
    this.#options = options;
    this.#disks = disks;
  }

  async answer({ node, pods }: Sample): Promise<object> {
    const { node: nodeName, startedAt, simulated, runtime, folder } = this.#options;
    const common = {
      nodeName,
      startTime: formatTime(startedAt),
      ...computeOf(node, { available: node.available, swapAvailable: node.swapAvailable }),
    };
    if (simulated) return { node: common, pods: pods.map((pod) => podOf(pod, pod.containers.map(containerOf))) };
    const time = { time: formatTime(node.at) };
    const [stats, info, nodeFs] = await Promise.all([runtime.streams.stats(), runtime.info(), filesystemOf(folder)]);
    const images = info.imageFilesystem;
    const imageFs = images && (await filesystemOf(images.mountpoint));
    const processes = await readProcesses();
    const answer = {
      ...common,
      network: { ...time, ...(await nodeNetwork()) },
      ...(nodeFs ? { fs: { ...time, ...capacityOf(nodeFs), ...usedOf(nodeFs) } } : {}),
      runtime: imageFs
        ? { imageFs: { ...time, ...capacityOf(imageFs), usedBytes: images.usedBytes, inodesUsed: images.inodesUsed } }
        : {},
      rlimit: { ...time, maxpid: processes.most, curproc: processes.now },
    };
    const byId = new Map(stats.map((one) => [one.sandboxId, one]));
    const disks = { nodeFs, imageFs: imageFs ?? nodeFs };
    return {
      node: answer,
      pods: await Promise.all(pods.map((pod) => this.#podOf(pod, byId.get(pod.sandbox.id), disks))),
    };
  }

  /** With what the pod takes of the disk: layers that its containers write, their logs, and its volumes. */
  async #podOf(pod: PodSample, stats: SandboxStats | undefined, { nodeFs, imageFs }: Disks): Promise<object> {
    const disk = await this.#disks.of(pod, stats);
    const containers = pod.containers.map((container, index) => {
      const time = { time: formatTime(container.at) };
      const { layer, logs } = disk.containers[index]!;
      return {
        ...containerOf(container),
        rootfs: { ...time, ...(imageFs && capacityOf(imageFs)), ...(layer && takenOf(layer)) },
        logs: { ...time, ...(nodeFs && capacityOf(nodeFs)), ...takenOf(logs) },
      };
    });
    const time = { time: formatTime(pod.whole.at) };
    const volume = await Promise.all(
      disk.volumes.map(async ({ name, path, usage, filesystem }) => {
        const own = filesystem ?? (await filesystemOf(path));
        return { ...time, ...(own && capacityOf(own)), ...takenOf(usage), name };
      }),
    );
    return {
      ...podOf(pod, containers),
      ...(stats?.network ? { network: { ...time, ...networkOf(stats.network) } } : {}),
      ...(volume.length > 0 ? { volume } : {}),
      "ephemeral-storage": { ...time, ...(nodeFs && capacityOf(nodeFs)), ...takenOf(disk.total) },
    };
  }
}

interface Disks {
  nodeFs: Filesystem | undefined;
  imageFs: Filesystem | undefined;
}

const podOf = ({ sandbox, whole }: PodSample, containers: object[]): object => ({
  podRef: { name: sandbox.name, namespace: sandbox.namespace, uid: sandbox.uid },
  startTime: formatTime(sandbox.createdAt),
  containers,
  ...computeOf(whole),
  ...(whole.usage.threads === undefined ? {} : { process_stats: { process_count: whole.usage.threads } }),
});

const containerOf = (container: ContainerSample): object => ({
  name: container.name,
  startTime: formatTime(container.startedAt),
  ...computeOf(container),
});

interface Available {
  available: number;
  swapAvailable: number;
}

/** Processors, memory, swap and pressure. `available` is the machine's; a cgroup's follows from its limit. */
function computeOf({ at, usage, rate }: Measured, host?: Available): object {
  const { cpu, memory, swap, pressure } = usage;
  const time = { time: formatTime(at) };
  const free = host?.available ?? (memory.limit === undefined ? undefined : memory.limit - memory.workingSet);
  const swapFree = host?.swapAvailable ?? (swap?.limit === undefined ? undefined : swap.limit - swap.usage);
  return {
    cpu: {
      ...time,
      ...(rate ? { usageNanoCores: rate.nanoCores } : {}),
      usageCoreNanoSeconds: cpu.total,
      ...psiOf(pressure?.cpu),
    },
    memory: {
      ...time,
      ...(free === undefined ? {} : { availableBytes: free }),
      usageBytes: memory.usage,
      workingSetBytes: memory.workingSet,
      rssBytes: memory.rss,
      pageFaults: memory.pageFaults,
      majorPageFaults: memory.majorPageFaults,
      ...psiOf(pressure?.memory),
    },
    ...(pressure?.io ? { io: { ...time, ...psiOf(pressure.io) } } : {}),
    ...(swap
      ? {
          swap: {
            ...time,
            ...(swapFree === undefined ? {} : { swapAvailableBytes: swapFree }),
            swapUsageBytes: swap.usage,
          },
        }
      : {}),
  };
}

/** Totals are in nanoseconds, where the kernel counts microseconds. */
function psiOf(pressure: Pressure | undefined): object {
  if (!pressure) return {};
  const line = ({ total, avg10, avg60, avg300 }: Pressure["some"]) => ({ total: total * 1000, avg10, avg60, avg300 });
  return { psi: { full: line(pressure.full), some: line(pressure.some) } };
}

const capacityOf = ({ capacity, available, inodes, inodesFree }: Filesystem): object => ({
  availableBytes: available,
  capacityBytes: capacity,
  inodesFree,
  inodes,
});
const usedOf = ({ used, inodes, inodesFree }: Filesystem): object => ({
  usedBytes: used,
  inodesUsed: inodes - inodesFree,
});
const takenOf = ({ bytes, inodes }: DiskUsage): object => ({ usedBytes: bytes, inodesUsed: inodes });

interface Counters {
  receivedBytes: number;
  receiveErrors: number;
  sentBytes: number;
  sendErrors: number;
}
const countersOf = (name: string, { receivedBytes, receiveErrors, sentBytes, sendErrors }: Counters) => ({
  name,
  rxBytes: receivedBytes,
  rxErrors: receiveErrors,
  txBytes: sentBytes,
  txErrors: sendErrors,
});

function networkOf(counters: NonNullable<SandboxStats["network"]>): object {
  const own = countersOf(counters.interface, counters);
  return { ...own, interfaces: [own] };
}

async function nodeNetwork(): Promise<object> {
  const [name, interfaces] = await Promise.all([defaultInterface(), readInterfaces()]);
  const main = interfaces.find((one) => one.name === name);
  return {
    ...(main ? countersOf(main.name, main) : { name: "" }),
    interfaces: interfaces.map((one) => countersOf(one.name, one)),
  };
}
