import type { Clock } from "#base";

/** What somebody wants to hear of: changes of a storage type, of one namespace, of objects with these fields. */
export interface Watch {
  type: string;
  namespace?: string;
  fields?: Record<string, string>;
}

/** Where hints come from. They say that there may be something to read; they may be lost, late, or for nothing. */
export interface Hints {
  /** Whether hints can come at all just now. */
  readonly connected: boolean;
  follow(watch: Watch): Interest;
}

/** One who waits for hints. */
export interface Interest {
  /** The highest revision that the type is known to have moved to; 0 while nothing is known. */
  readonly hinted: number;
  /**
   * Resolves when the type has moved past `revision`, when hints may have been lost, after so many milliseconds, or
   * when the signal aborts.
   */
  moved(revision: number, milliseconds: number, signal: AbortSignal): Promise<void>;
  /** The hints so far led nowhere. */
  forget(): void;
  close(): void;
}

export interface HintBoard {
  follow(watch: Watch): Interest;
  /** What is waited for, each watch once. */
  watches(): Watch[];
  /** A type has moved to a revision. */
  hear(type: string, revision: number): void;
  /** Hints may have been lost: everybody looks. */
  look(): void;
}

/** Brings hints to those who wait for them. `changed` is called when what is watched changes. */
export function hintBoard(clock: Clock, changed: () => void): HintBoard {
  const waiting = new Set<Waiting>();
  return {
    follow(watch) {
      const one = new Waiting(clock, watch, () => {
        waiting.delete(one);
        changed();
      });
      waiting.add(one);
      changed();
      return one;
    },
    watches: () => [...new Map([...waiting].map(({ watch }) => [JSON.stringify(watch), watch])).values()],
    hear(type, revision) {
      for (const one of waiting) if (one.watch.type === type) one.hear(revision);
    },
    look() {
      for (const one of waiting) one.look();
    },
  };
}

class Waiting implements Interest {
  readonly watch: Watch;
  readonly close: () => void;
  hinted = 0;
  readonly #clock: Clock;
  #due = false;
  #wake = () => {};

  constructor(clock: Clock, watch: Watch, close: () => void) {
    this.#clock = clock;
    this.watch = watch;
    this.close = close;
  }

  hear(revision: number): void {
    this.hinted = Math.max(this.hinted, revision);
    this.#wake();
  }

  look(): void {
    this.#due = true;
    this.#wake();
  }

  forget(): void {
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
        this.#wake = () => isDue() && done();
      });
    }
    this.#wake = () => {};
    this.#due = false;
  }
}
