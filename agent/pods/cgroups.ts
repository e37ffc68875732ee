import { join } from "node:path";
import type { CgroupTree, ResourceSpec } from "#agent/runtime";
import type { Pod } from "#api";
import { type Clock, type Log, messageOf, sleep } from "#base";
import { isOver, memoryBytes, milliCpu } from "#kubelet";
import { burstableShares, cgroupParentOf, podResources, qosPath, sharesOf } from "./qos.ts";

export interface PodCgroupOptions {
  tree: CgroupTree;
  /** Such as `/kubepods`. */
  root: string;
  isUnified: boolean;
  /** What all pods together may use: cpu and memory, as quantities. */
  allocatable: Record<string, string>;
  /** The pods of the node. */
  pods: () => readonly Pod[];
  clock: Clock;
  log: Log;
}

const periodMilliseconds = 60_000;

/**
 * The cgroups above the containers: that of all pods, those of burstable and best-effort pods, and one for each pod.
 * For runtimes with the cgroup driver cgroupfs; systemd creates its slices itself.
 */
export class PodCgroups {
  readonly #options: PodCgroupOptions;

  constructor(options: PodCgroupOptions) {
    this.#options = options;
  }

  /** Sets the cgroups of the QoS classes, and again every minute until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, root, allocatable, tree } = this.#options;
    while (!signal.aborted) {
      try {
        const cpuShares = sharesOf(milliCpu(allocatable));
        await tree.apply(root, { cpuShares, memoryBytes: memoryBytes(allocatable) });
        await this.#applyClasses();
      } catch (error) {
        // More memory may be in use than a lower limit allows, until pods are evicted.
        log.warn("the cgroup of all pods could not be set", { cgroup: root, error: messageOf(error) });
      }
      await sleep(clock, periodMilliseconds, signal);
    }
  }

  /** Uids of pods whose cgroups have no process. The kernel forgets them only when they are removed. */
  async idle(): Promise<string[]> {
    const { tree, root } = this.#options;
    const levels = ["", "burstable", "besteffort"].map((level) => tree.idleChildren(join(root, level)));
    const names = (await Promise.all(levels)).flat();
    return names.flatMap((name) => /^pod([\da-f-]+)$/.exec(name)?.[1] ?? []);
  }

  /** Creates the pod's cgroup with its limits. Throws when the kernel refuses it. */
  async ensure(pod: Pod): Promise<void> {
    await this.#applyClasses();
    await this.set(pod, podResources(pod, this.#options.isUnified));
  }

  /** Changes limits of the pod's cgroup; absent ones stay as they are. Throws when the kernel refuses one. */
  async set(pod: Pod, resources: ResourceSpec): Promise<void> {
    await this.#options.tree.apply(this.#pathOf(pod), resources);
  }

  /** The limits of the pod's cgroup as the kernel has them; undefined where it does not exist. */
  read(pod: Pod): ReturnType<CgroupTree["read"]> {
    return this.#options.tree.read(this.#pathOf(pod));
  }

  #pathOf(pod: Pod): string {
    return cgroupParentOf(pod, "cgroupfs", this.#options.root) ?? "";
  }

  async #applyClasses(): Promise<void> {
    const { tree, root, pods } = this.#options;
    const active = pods().filter(({ status }) => !isOver(status?.phase));
    await tree.apply(qosPath(root, "Burstable"), { cpuShares: burstableShares(active) });
    await tree.apply(qosPath(root, "BestEffort"), { cpuShares: sharesOf(0) });
  }
}
