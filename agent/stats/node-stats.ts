import type { NodeUsage } from "#api/meta";
import { type MeterOptions, meter } from "./meter.ts";
import { Sampler } from "./sampler.ts";
import { Summaries, type SummaryOptions } from "./summary.ts";
import { cadvisorText, resourceText } from "./texts.ts";
import { usageAnswer } from "./usage.ts";

export type NodeStatsOptions = MeterOptions & SummaryOptions;

/** What a node uses, in each form in which clients ask for it. Nothing is measured between questions. */
export class NodeStats {
  readonly #options: NodeStatsOptions;
  readonly #sampler: Sampler;
  readonly #summaries: Summaries;

  constructor(options: NodeStatsOptions) {
    this.#options = options;
    this.#sampler = new Sampler(meter(options), options.clock);
    this.#summaries = new Summaries(options);
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
