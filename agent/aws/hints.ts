import type { Clock } from "#base";

/** Changes of interest: of a storage type, of one namespace, of objects with these fields. */
export interface Watch {
  type: string;
  namespace?: string;
  fields?: Record<string, string>;
}

/** A source of hints that there may be something new to read. Hints may be lost, late, or wrong. */
export interface Hints {
  /** Whether hints can arrive at present. */
  readonly connected: boolean;
  follow(watch: Watch): Subscription;
}

/** Receives the hints for one watch. */
export interface Subscription {
  /** The highest revision that the type is known to have; 0 while none is known. */
  readonly hinted: number;
  /**
   * Resolves when the type has moved past `revision`, when hints may have been lost, after so many milliseconds, or
   * when the signal aborts.
   */
  moved(revision: number, milliseconds: number, signal: AbortSignal): Promise<void>;
  /** Forgets the hinted revision: reads did not find it. */
  reset(): void;
  close(): void;
}

/** Passes hints to the subscriptions for their type. */
export class HintBoard {
  readonly #clock: Clock;
  readonly #changed: () => void;
  readonly #subscriptions = new Set<BoardSubscription>();

  /** `changed` is called when `watches()` changes. */
  constructor(clock: Clock, changed: () => void) {
    this.#clock = clock;
    this.#changed = changed;
  }

  follow(watch: Watch): Subscription {
    const subscription = new BoardSubscription(this.#clock, watch, () => {
      this.#subscriptions.delete(subscription);
      this.#changed();
    });
    this.#subscriptions.add(subscription);
    this.#changed();
    return subscription;
  }

  /** The watches of all subscriptions, without duplicates. */
  watches(): Watch[] {
    const watches = [...this.#subscriptions].map(({ watch }) => watch);
    return [...new Map(watches.map((watch) => [JSON.stringify(watch), watch])).values()];
  }

  /** A type has moved to a revision. */
  hint(type: string, revision: number): void {
    for (const one of this.#subscriptions) if (one.watch.type === type) one.hint(revision);
  }

  /** Hints may have been lost: every subscriber reads once. */
  wakeAll(): void {
    for (const one of this.#subscriptions) one.wake();
  }
}

class BoardSubscription implements Subscription {
  readonly watch: Watch;
  readonly close: () => void;
  hinted = 0;
  readonly #clock: Clock;
  #due = false;
  #check = () => {};

  constructor(clock: Clock, watch: Watch, close: () => void) {
    this.#clock = clock;
    this.watch = watch;
    this.close = close;
  }

  hint(revision: number): void {
    this.hinted = Math.max(this.hinted, revision);
    this.#check();
  }

  wake(): void {
    this.#due = true;
    this.#check();
  }

  reset(): void {
    this.hinted = 0;
  }

  async moved(revision: number, milliseconds: number, signal: AbortSignal): Promise<void> {
    const isDue = () => this.#due || this.hinted > revision || signal.aborted;
    if (!isDue()) {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          timer.cancel();
          signal.removeEventListener("abort", done);
          resolve();
        };
        const timer = this.#clock.timer(milliseconds, done);
        signal.addEventListener("abort", done, { once: true });
        this.#check = () => isDue() && done();
      });
    }
    this.#check = () => {};
    this.#due = false;
  }
}
