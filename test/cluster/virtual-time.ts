import { ignoreNotFound } from "#base";
import { type HandClock, turn } from "#test/make";
import { RecordedReads } from "./recorded-reads.ts";
import type { SlowStore } from "./store.ts";

export interface VirtualTimeOptions {
  clock: HandClock;
  store: SlowStore;
  seed: number;
  /** The number of keys and pods that controllers and the scheduler have in work. */
  busy(): number;
}

/** Limits endless work: in real time, since the cluster's time does not move meanwhile. */
const longestMilliseconds = 20_000;
/** Work that makes no call of the store for so many turns waits for the clock, for example for a retry. */
const turnsToStall = 50;

/** The virtual time of a cluster: everything that can happen happens first, then the clock moves to the next timer. */
export class VirtualTime {
  readonly reads = new RecordedReads();
  readonly #options: VirtualTimeOptions;

  constructor(options: VirtualTimeOptions) {
    this.#options = options;
  }

  async until<T>(what: () => Promise<T | undefined | false>, seconds = 10): Promise<T> {
    const { clock, store, busy } = this.#options;
    const deadline = clock.now() + seconds * 1000;
    const limit = performance.now() + longestMilliseconds;
    for (let stalled = 0, rested = false; ; ) {
      const { commits } = store;
      this.reads.begin();
      const found = await ignoreNotFound(what());
      if (found) return found;
      if (performance.now() > limit) throw this.#failure("after 20 s of real time", found);
      if (rested && store.commits === commits) this.#moveOn(deadline, `within ${seconds} s`, found);
      const before = store.commits;
      await turn();
      const isStill = store.pending === 0 && store.commits === before;
      stalled = isStill ? stalled + 1 : 0;
      rested = isStill && (busy() === 0 || stalled >= turnsToStall);
    }
  }

  /** Moves the clock to the next timer. Throws when there is none by `deadline`. */
  #moveOn(deadline: number, when: string, found: unknown): void {
    const { clock } = this.#options;
    const { due } = clock;
    if (due === undefined) throw this.#failure("and nothing is left to happen", found);
    if (due > deadline) throw this.#failure(when, found);
    clock.move(due - clock.now());
  }

  async quiet(): Promise<void> {
    const { store, busy } = this.#options;
    const limit = performance.now() + longestMilliseconds;
    for (let commits = -1; store.pending > 0 || busy() > 0 || store.commits !== commits; ) {
      commits = store.commits;
      await turn();
      if (performance.now() > limit) throw this.#failure("at rest after 20 s of real time", { busy: busy() });
    }
  }

  async pass(milliseconds: number): Promise<void> {
    const { clock } = this.#options;
    const end = clock.now() + milliseconds;
    await this.quiet();
    for (let { due } = clock; due !== undefined && due <= end; { due } = clock) {
      clock.move(due - clock.now());
      await this.quiet();
    }
    clock.move(end - clock.now());
  }

  #failure(when: string, value: unknown): Error {
    const time = new Date(this.#options.clock.now()).toISOString();
    return new Error(`not ${when} (seed ${this.#options.seed}, ${time}); ${this.reads.describe(value)}`);
  }
}
