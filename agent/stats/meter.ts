import type { Container, ContainerStats, Runtime, Sandbox } from "#agent/runtime";
import type { Clock } from "#base";
import { Cgroups, type CgroupUsage, slicePath } from "./cgroup.ts";
import { readHost } from "./host.ts";
import type { ContainerSample, PodSample, Sample } from "./sample.ts";

export interface MeterOptions {
  runtime: Runtime;
  clock: Clock;
  /** How the runtime names cgroups. */
  cgroupDriver: "cgroupfs" | "systemd" | "none";
  /** The cgroup of a pod of this node, in the driver's form; undefined for other pods. */
  cgroupOf(pod: Pick<Sandbox, "namespace" | "name" | "uid">): string | undefined;
}

/** Measures a node and its pods once: from the kernel's cgroups, or from the runtime where it has none. */
export function meter(options: MeterOptions): () => Promise<Sample> {
  return options.cgroupDriver === "none" ? () => ofRuntime(options) : () => ofCgroups(options, new Cgroups());
}

const isRunning = ({ state }: Container): boolean => state === "running";

async function ofCgroups({ runtime, clock, cgroupDriver, cgroupOf }: MeterOptions, cgroups: Cgroups): Promise<Sample> {
  const sandboxes = (await runtime.pods.list()).filter(({ state }) => state === "ready");
  const measured = async (sandbox: Sandbox): Promise<PodSample | undefined> => {
    const parent = cgroupOf(sandbox);
    if (parent === undefined) return undefined;
    const cgroup = slicePath(parent);
    const [at, usage] = [clock.now(), await cgroups.read(cgroup)];
    if (!usage) return undefined;
    const containers = sandbox.containers.filter(isRunning).map(async (container) => {
      // The names that containerd and CRI-O give to scopes of systemd.
      const names =
        cgroupDriver === "systemd"
          ? [`cri-containerd-${container.id}.scope`, `crio-${container.id}.scope`]
          : [container.id, `crio-${container.id}`];
      for (const name of names) {
        const path = `${cgroup}/${name}`;
        const [own, usage] = [clock.now(), await cgroups.read(path)];
        if (usage) return containerSample(container, path, own, usage);
      }
      return undefined;
    });
    return { sandbox, cgroup, whole: { at, usage }, containers: present(await Promise.all(containers)) };
  };
  const pods = present(await Promise.all(sandboxes.map(measured)));
  const [at, host] = [clock.now(), await readHost()];
  const cpu = { total: host.cpu, user: 0, system: 0 };
  return {
    node: {
      at,
      usage: { cpu, memory: host.memory, swap: { usage: host.swap.usage }, pressure: host.pressure },
      available: host.memory.available,
      swapAvailable: host.swap.available,
    },
    pods,
  };
}

const present = <T>(list: (T | undefined)[]): T[] => list.filter((one) => one !== undefined);

const containerSample = (
  { id, name, image, startedAt, createdAt }: Container,
  cgroup: string,
  at: number,
  usage: CgroupUsage,
): ContainerSample => ({ id, name, image, cgroup, startedAt: startedAt ?? createdAt, at, usage });

/** Runtimes without cgroups measure containers themselves; such a node uses what its pods use. */
async function ofRuntime({ runtime, clock }: MeterOptions): Promise<Sample> {
  const [stats, sandboxes] = await Promise.all([runtime.streams.stats(), runtime.pods.list()]);
  const byId = new Map(sandboxes.map((sandbox) => [sandbox.id, sandbox]));
  const pods = stats.flatMap((one): PodSample[] => {
    const sandbox = byId.get(one.sandboxId);
    if (!sandbox) return [];
    const containers = one.containers.flatMap((own) => {
      const container = sandbox.containers.find(({ id }) => id === own.containerId);
      return container ? [containerSample(container, "", own.at, usageOf(own))] : [];
    });
    return [{ sandbox, cgroup: "", whole: { at: one.at, usage: sum(containers) }, containers }];
  });
  const node = { at: clock.now(), usage: sum(pods.map(({ whole }) => whole)), available: 0, swapAvailable: 0 };
  return { node, pods };
}

const usageOf = (stats: ContainerStats): CgroupUsage => ({
  cpu: { total: stats.cpuNanoseconds ?? 0, user: stats.cpuNanoseconds ?? 0, system: 0 },
  memory: {
    usage: stats.memoryUsageBytes ?? stats.memoryWorkingSetBytes ?? 0,
    workingSet: stats.memoryWorkingSetBytes ?? 0,
    rss: stats.memoryRssBytes ?? 0,
    cache: 0,
    mappedFile: 0,
    pageFaults: 0,
    majorPageFaults: 0,
  },
});

function sum(parts: readonly { usage: CgroupUsage }[]): CgroupUsage {
  const total = usageOf({ containerId: "", name: "", at: 0 });
  for (const { usage } of parts) {
    for (const key of ["total", "user", "system"] as const) total.cpu[key] += usage.cpu[key];
    for (const key of ["usage", "workingSet", "rss"] as const) total.memory[key] += usage.memory[key];
  }
  return total;
}
