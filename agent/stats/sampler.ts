import { type Clock, sleep } from "#base";
import { type Sample, withRates } from "./sample.ts";

/** A sample is answered again for this long, as cAdvisor's housekeeping. */
const freshMilliseconds = 10_000;
/** An older one says nothing about the present use. */
const staleMilliseconds = 60_000;
/** Between the two samples that the first question for rates takes. */
const apartMilliseconds = 1000;

/** Samples of a node's usage, taken when they are asked for: a node without questions measures nothing. */
export class Sampler {
  readonly #take: () => Promise<Sample>;
  readonly #clock: Clock;
  #newest: Sample | undefined;
  #pending: Promise<Sample> | undefined;

  constructor(take: () => Promise<Sample>, clock: Clock) {
    this.#take = take;
    this.#clock = clock;
  }

  /** The usage at this moment, or some seconds ago, with rates. The first call takes a second. */
  sample(): Promise<Sample> {
    const newest = this.#newest;
    if (newest?.node.rate && this.#clock.now() - newest.node.at < freshMilliseconds) return Promise.resolve(newest);
    this.#pending ??= this.#measure().finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  async #measure(): Promise<Sample> {
    let earlier = this.#newest;
    const age = this.#clock.now() - (earlier?.node.at ?? Number.NEGATIVE_INFINITY);
    if (!earlier || age > staleMilliseconds || age < apartMilliseconds) {
      earlier = await this.#take();
      await sleep(this.#clock, apartMilliseconds);
    }
    this.#newest = withRates(await this.#take(), earlier);
    return this.#newest;
  }
}
