import type { Clock, Timer } from "#base";
import type { Watch } from "./hints.ts";

/** Watches that change together are reported together. */
const collectMilliseconds = 200;
/** The least time between two reports: messages that follow each other closely may be processed in any order. */
const pauseMilliseconds = 2000;
/** The functions that send hints may use an older list of watches for five seconds. */
const settleMilliseconds = 7000;

export interface WatchReportOptions {
  clock: Clock;
  /** What is watched now. */
  watches(): Watch[];
  /** Sends the watches, as JSON; false when there is no connection. */
  send(watches: string): boolean;
  /** Called when the last report is known everywhere: hints may have been lost until then. */
  settled(): void;
}

/** Reports to the cluster what this agent watches, after each change. */
export class WatchReport {
  readonly #options: WatchReportOptions;
  #reported = "";
  #pending: Timer | undefined;
  #settling: Timer | undefined;

  constructor(options: WatchReportOptions) {
    this.#options = options;
  }

  /** The watches may have changed: they are reported soon. */
  changed(): void {
    this.#pending ??= this.#options.clock.timer(collectMilliseconds, () => this.#report());
  }

  /** The last report may not have arrived: the watches are reported again soon. */
  repeat(): void {
    this.#reported = "";
    this.changed();
  }

  /** The connection is new: the watches are reported at once. */
  restart(): void {
    this.#pending?.cancel();
    this.#reported = "";
    this.#report();
  }

  stop(): void {
    this.#pending?.cancel();
    this.#settling?.cancel();
  }

  #report(): void {
    const { clock, send, settled } = this.#options;
    this.#pending = undefined;
    const watches = JSON.stringify(this.#options.watches());
    if (watches === this.#reported || !send(watches)) return;
    this.#reported = watches;
    this.#pending = clock.timer(pauseMilliseconds, () => this.#report());
    this.#settling?.cancel();
    this.#settling = clock.timer(settleMilliseconds, settled);
  }
}
