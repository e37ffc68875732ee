import type { PodDisk, Sample } from "#agent/stats";
import type { Pod } from "#api";
import { type Clock, type Log, messageOf, sleep } from "#base";
import { isCritical } from "#kubelet";
import { evictionMessage, excess, limitsDisk, type PodUsage, pressureRejection, rank } from "./pods.ts";
import {
  met,
  type Observations,
  type Pressure,
  pressureOf,
  resourceOf,
  type Signal,
  type Threshold,
} from "./thresholds.ts";

/** How the node ends a pod that it evicts. */
export interface Eviction {
  message: string;
  graceSeconds: number;
  /** Whether the pod gets the condition DisruptionTarget: for a lack on the node, not for a limit of the pod. */
  isDisruption: boolean;
}

export interface EvictionOptions {
  clock: Clock;
  log: Log;
  thresholds: readonly Threshold[];
  /** The longest grace period of a pod that is evicted for a soft threshold. */
  longestGraceSeconds: number;
  /** How long a pressure is reported after it was last seen. */
  transitionMilliseconds: number;
  observe(): Promise<Observations>;
  /** Usage of all pods of the node: read when there is something to decide. */
  sample(): Promise<Sample>;
  /** What these pods take of the disk, by uid. */
  disks(sample: Sample["pods"]): Promise<ReadonlyMap<string, PodDisk>>;
  /** The pods of the node that have not ended. */
  pods(): Pod[];
  /** Ends a pod as Evicted. Resolves once its containers have ended. */
  evict(pod: Pod, eviction: Eviction): Promise<void>;
  /** Removes what the node can spare: images that no container uses. */
  reclaimDisk(): Promise<void>;
  /** An event of the node. */
  record(reason: string, message: string): void;
}

/** The kubelet's monitoring interval. */
const intervalMilliseconds = 10_000;
/** The longest wait for a pod that was evicted (podCleanupTimeout). */
const cleanupMilliseconds = 30_000;

/**
 * Evicts pods where memory, disk or processes of the node run short, one at a time, and pods that exceed their own
 * limits on the disk; and knows under which pressure the node is (pkg/kubelet/eviction).
 */
export class EvictionManager {
  readonly #options: EvictionOptions;
  readonly #stopping = new AbortController();
  readonly #seenAt = new Map<Pressure, number>();
  readonly #firstMetAt = new Map<Threshold, number>();

  constructor(options: EvictionOptions) {
    this.#options = options;
  }

  /** The node's pressures at this moment, in the order of the kubelet's conditions. */
  get pressures(): ReadonlySet<Pressure> {
    const { clock, transitionMilliseconds } = this.#options;
    const order: Pressure[] = ["MemoryPressure", "DiskPressure", "PIDPressure"];
    const isReported = (pressure: Pressure): boolean => {
      const at = this.#seenAt.get(pressure);
      return at !== undefined && clock.now() - at < transitionMilliseconds;
    };
    return new Set(order.filter(isReported));
  }

  /** Why the node rejects a pod; undefined when it admits it. */
  rejection(pod: Pod): { reason: string; message: string } | undefined {
    return pressureRejection(pod, this.pressures);
  }

  start(): { stop(): Promise<void> } {
    const running = this.#run();
    return {
      stop: async () => {
        this.#stopping.abort();
        await running;
      },
    };
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      let hasEvicted = false;
      try {
        hasEvicted = await this.round();
      } catch (error) {
        log.warn("the node's resources could not be checked", { error: messageOf(error) });
      }
      // What an evicted pod has freed is seen at once: another one may have to follow.
      if (!hasEvicted) await sleep(clock, intervalMilliseconds, signal);
    }
  }

  /** One check. Resolves with whether a pod was evicted. */
  async round(): Promise<boolean> {
    const { clock, thresholds } = this.#options;
    const observed = await this.#options.observe();
    const now = clock.now();
    const short = met(thresholds, observed);
    for (const { signal } of short) this.#seenAt.set(pressureOf(signal), now);
    for (const known of this.#firstMetAt.keys()) if (!short.includes(known)) this.#firstMetAt.delete(known);
    for (const threshold of short) if (!this.#firstMetAt.has(threshold)) this.#firstMetAt.set(threshold, now);
    if (await this.#evictByLimits()) return true;
    const due = short.filter((one) => now - this.#firstMetAt.get(one)! >= (one.graceMilliseconds ?? 0));
    // Memory first, since the kernel kills without asking (byEvictionPriority).
    const [threshold] = due.toSorted((a, b) => Number(isMemory(b.signal)) - Number(isMemory(a.signal)));
    return threshold ? this.#evictFor(threshold, observed) : false;
  }

  async #evictByLimits(): Promise<boolean> {
    const limited = this.#options.pods().filter((pod) => limitsDisk(pod) && !isCritical(pod));
    if (limited.length === 0) return false;
    const uids = new Set(limited.map(({ metadata }) => metadata.uid));
    const { pods } = await this.#options.sample();
    const disks = await this.#options.disks(pods.filter(({ sandbox }) => uids.has(sandbox.uid)));
    const evicted = limited.flatMap((pod) => {
      const disk = disks.get(pod.metadata.uid ?? "");
      const message = disk && excess(pod, disk);
      return message === undefined ? [] : [this.#evict(pod, { message, graceSeconds: 1, isDisruption: false })];
    });
    await Promise.all(evicted);
    return evicted.length > 0;
  }

  async #evictFor(threshold: Threshold, observed: Observations): Promise<boolean> {
    const { signal, graceMilliseconds } = threshold;
    const { log, longestGraceSeconds } = this.#options;
    const resource = resourceOf(signal);
    this.#options.record("EvictionThresholdMet", `Attempting to reclaim ${resource}`);
    if (pressureOf(signal) === "DiskPressure") {
      await this.#options.reclaimDisk();
      if (met([threshold], await this.#options.observe()).length === 0) return false;
    }
    const usages = await this.#usages(pressureOf(signal) === "DiskPressure");
    const usageOf = (pod: Pod): PodUsage => usages.get(pod.metadata.uid ?? "") ?? {};
    const [pod] = rank(
      this.#options.pods().filter((one) => !isCritical(one)),
      signal,
      usageOf,
    );
    if (!pod) {
      log.warn("the node is short of a resource, and no pod can be evicted", { resource });
      return false;
    }
    const own = Number(pod.spec?.terminationGracePeriodSeconds ?? 30);
    const graceSeconds = graceMilliseconds === undefined ? 1 : Math.min(longestGraceSeconds, own);
    const message = evictionMessage(threshold, observed, pod, usageOf(pod));
    await this.#evict(pod, { message, graceSeconds, isDisruption: true });
    return true;
  }

  async #usages(withDisk: boolean): Promise<Map<string, PodUsage>> {
    const { pods } = await this.#options.sample();
    const disks = withDisk ? await this.#options.disks(pods) : undefined;
    return new Map(
      pods.map((sample) => {
        const disk = disks?.get(sample.sandbox.uid);
        return [sample.sandbox.uid, { sample, ...(disk ? { disk } : {}) }];
      }),
    );
  }

  async #evict(pod: Pod, eviction: Eviction): Promise<void> {
    const { clock, log } = this.#options;
    log.info("a pod is evicted", { pod: `${pod.metadata.namespace}/${pod.metadata.name}`, why: eviction.message });
    const late = new AbortController();
    const { signal } = this.#stopping;
    const waiting = sleep(clock, cleanupMilliseconds, AbortSignal.any([signal, late.signal]));
    await Promise.race([this.#options.evict(pod, eviction), waiting]);
    late.abort();
  }
}

const isMemory = (signal: Signal): boolean => signal === "memory.available";
