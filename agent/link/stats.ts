import { readFile } from "node:fs/promises";
import { cpus, freemem, totalmem } from "node:os";
import { formatTime } from "#base";
import type { LinkOptions } from "./dial.ts";

const time = (at: number): string => formatTime(at);

/** The kubelet's summary of statistics: the node and its pods. Clients compute rates from two summaries. */
export async function summary({ node, runtime, clock }: LinkOptions): Promise<object> {
  const now = clock.now();
  const pods = await runtime.streams.stats();
  return {
    node: { nodeName: node, cpu: { time: time(now), usageCoreNanoSeconds: hostCpu() }, memory: await hostMemory(now) },
    pods: pods.map(({ name, namespace, uid, at, cpuNanoseconds, memoryWorkingSetBytes, network, containers }) => ({
      podRef: { name, namespace, uid },
      startTime: time(at),
      ...(cpuNanoseconds === undefined ? {} : { cpu: { time: time(at), usageCoreNanoSeconds: cpuNanoseconds } }),
      ...(memoryWorkingSetBytes === undefined
        ? {}
        : { memory: { time: time(at), workingSetBytes: memoryWorkingSetBytes } }),
      ...(network
        ? {
            network: {
              time: time(at),
              name: network.interface,
              rxBytes: network.receivedBytes,
              rxErrors: network.receiveErrors,
              txBytes: network.sentBytes,
              txErrors: network.sendErrors,
            },
          }
        : {}),
      containers: containers.map((container) => ({
        name: container.name,
        cpu: { time: time(container.at), usageCoreNanoSeconds: container.cpuNanoseconds },
        memory: {
          time: time(container.at),
          workingSetBytes: container.memoryWorkingSetBytes,
          usageBytes: container.memoryUsageBytes,
          rssBytes: container.memoryRssBytes,
        },
        rootfs: {
          time: time(container.at),
          usedBytes: container.writableLayerBytes,
          inodesUsed: container.writableLayerInodes,
        },
      })),
    })),
  };
}

/** Busy time of all processors since the start, in nanoseconds. */
const hostCpu = (): number =>
  cpus().reduce((total, { times }) => total + times.user + times.nice + times.sys + times.irq, 0) * 1e6;

async function hostMemory(now: number): Promise<object> {
  const text = await readFile("/proc/meminfo", "utf8").catch(() => "");
  const kilobytes = /^MemAvailable:\s+(\d+)/m.exec(text)?.[1];
  const available = kilobytes === undefined ? freemem() : Number(kilobytes) * 1024;
  return { time: time(now), availableBytes: available, workingSetBytes: totalmem() - available };
}
