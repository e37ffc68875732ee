import type { Clock, Timer } from "#base";

/** A queue of keys. One worker processes a key at a time; a key that is added meanwhile is processed once more. */
export interface Queue {
  add(key: string): void;
  /** Adds the key after so many milliseconds; of several delays of one key the shortest counts. */
  addAfter(key: string, milliseconds: number): void;
  /** Adds the key after a delay that doubles with each failure in a row. */
  addFailed(key: string): void;
  /** Resets the failures of a key that was processed successfully. */
  forget(key: string): void;
  /** The next key, or undefined when the queue has been closed. */
  take(): Promise<string | undefined>;
  /** Must be called by the worker when it has processed a key that it took. */
  done(key: string): void;
  close(): void;
  /** Keys that wait and keys that are being processed, without those that are delayed. */
  readonly busy: number;
}

const firstDelay = 5;
const longestDelay = 1_000_000;

/** Called on what a queue does, for metrics. */
export interface QueueObserver {
  added(key: string): void;
  retried(key: string): void;
  started(key: string): void;
}

const noObserver: QueueObserver = { added() {}, retried() {}, started() {} };

export const createQueue = (clock: Clock, observer: QueueObserver = noObserver): Queue => new KeyQueue(clock, observer);

class KeyQueue implements Queue {
  readonly #clock: Clock;
  readonly #observer: QueueObserver;
  /** Every waiting key is in `dirty` and in `order`; one that waits while it is processed is only in `dirty`. */
  readonly #dirty = new Set<string>();
  readonly #processing = new Set<string>();
  readonly #order: string[] = [];
  readonly #takers: ((key: string | undefined) => void)[] = [];
  readonly #timers = new Map<string, { at: number; timer: Timer }>();
  readonly #failures = new Map<string, number>();
  #isClosed = false;

  constructor(clock: Clock, observer: QueueObserver) {
    this.#clock = clock;
    this.#observer = observer;
  }

  get busy(): number {
    return this.#order.length + this.#processing.size;
  }

  add(key: string): void {
    if (this.#isClosed || this.#dirty.has(key)) return;
    this.#dirty.add(key);
    this.#observer.added(key);
    if (!this.#processing.has(key)) this.#enqueue(key);
  }

  addAfter(key: string, milliseconds: number): void {
    if (this.#isClosed) return;
    if (milliseconds <= 0) {
      this.add(key);
      return;
    }
    const at = this.#clock.now() + milliseconds;
    const known = this.#timers.get(key);
    if (known && known.at <= at) return;
    known?.timer.cancel();
    const run = (): void => {
      this.#timers.delete(key);
      this.add(key);
    };
    this.#timers.set(key, { at, timer: this.#clock.timer(milliseconds, run) });
  }

  addFailed(key: string): void {
    const count = this.#failures.get(key) ?? 0;
    this.#failures.set(key, count + 1);
    this.#observer.retried(key);
    this.addAfter(key, Math.min(firstDelay * 2 ** count, longestDelay));
  }

  forget(key: string): void {
    this.#failures.delete(key);
  }

  take(): Promise<string | undefined> {
    if (this.#isClosed) return Promise.resolve(undefined);
    const key = this.#order.shift();
    if (key !== undefined) return Promise.resolve(this.#start(key));
    return new Promise((resolve) => this.#takers.push(resolve));
  }

  done(key: string): void {
    this.#processing.delete(key);
    if (!this.#dirty.has(key) || this.#isClosed) return;
    // Added while it was processed: appended to the queue.
    this.#enqueue(key);
  }

  close(): void {
    this.#isClosed = true;
    for (const { timer } of this.#timers.values()) timer.cancel();
    this.#timers.clear();
    for (const taker of this.#takers.splice(0)) taker(undefined);
  }

  #start(key: string): string {
    this.#dirty.delete(key);
    this.#processing.add(key);
    this.#observer.started(key);
    return key;
  }

  #enqueue(key: string): void {
    const taker = this.#takers.shift();
    if (taker) taker(this.#start(key));
    else this.#order.push(key);
  }
}
