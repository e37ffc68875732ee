import type { NodeUsage } from "#api/meta";
import { type MeterOptions, meter } from "./meter.ts";
import { type PodDisk, PodDisks, type PodFolders } from "./pod-disk.ts";
import type { PodSample, Sample } from "./sample.ts";
import { Sampler } from "./sampler.ts";
import { Summaries, type SummaryOptions } from "./summary.ts";
import { cadvisorText, resourceText } from "./texts.ts";
import { usageAnswer } from "./usage.ts";

export type NodeStatsOptions = MeterOptions & SummaryOptions & PodFolders;

/** What a node uses, in each form in which clients ask for it. Nothing is measured between questions. */
export class NodeStats {
  readonly #options: NodeStatsOptions;
  readonly #sampler: Sampler;
  readonly #disks: PodDisks;
  readonly #summaries: Summaries;

  constructor(options: NodeStatsOptions) {
    this.#options = options;
    this.#sampler = new Sampler(meter(options), options.clock);
    this.#disks = new PodDisks(options, options.clock);
    this.#summaries = new Summaries(options, this.#disks);
  }

  /** Usage with rates, at most some seconds old. */
  sample(): Promise<Sample> {
    return this.#sampler.sample();
  }

  /** What pods of a sample take of the disk, by uid. */
  async disks(pods: readonly PodSample[]): Promise<Map<string, PodDisk>> {
    const stats = await this.#options.runtime.streams.stats();
    const ofPod = async (pod: PodSample): Promise<[string, PodDisk]> => {
      const own = stats.find(({ sandboxId }) => sandboxId === pod.sandbox.id);
      return [pod.sandbox.uid, await this.#disks.of(pod, own)];
    };
    return new Map(await Promise.all(pods.map(ofPod)));
  }

  /** For metrics.k8s.io. */
  async usage(): Promise<NodeUsage> {
    return usageAnswer(await this.#sampler.sample());
  }

  /** `/stats/summary`. */
  async summary(): Promise<object> {
    return this.#summaries.answer(await this.#sampler.sample());
  }

  /** `/metrics/resource`. */
  async resource(): Promise<string> {
    return resourceText(await this.#sampler.sample());
  }

  /** `/metrics/cadvisor`. */
  async cadvisor(): Promise<string> {
    const stats = await this.#options.runtime.streams.stats();
    const networks = stats.flatMap(({ sandboxId, at, network }) => (network ? [{ sandboxId, at, ...network }] : []));
    return cadvisorText(await this.#sampler.sample(), networks);
  }
}
