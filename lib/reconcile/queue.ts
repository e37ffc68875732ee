import type { Clock, Timer } from "#base";

/** A queue of keys. A key is worked on by one worker at a time; what arrives meanwhile makes it run once more. */
export interface Queue {
  add(key: string): void;
  addAfter(key: string, milliseconds: number): void;
  /** Adds the key after a delay that doubles with each failure in a row. */
  addFailed(key: string): void;
  /** The key went well: its failures are forgotten. */
  forget(key: string): void;
  /** The next key, or undefined when the queue has been closed. */
  take(): Promise<string | undefined>;
  /** The worker has finished with a key that it took. */
  done(key: string): void;
  close(): void;
  /** Keys that wait and keys that are worked on: 0 when all is quiet, timers aside. */
  readonly busy: number;
}

const firstDelay = 5;
const longestDelay = 1_000_000;

/** Hears what a queue does, for those who count it. */
export interface QueueObserver {
  added(key: string): void;
  retried(key: string): void;
  started(key: string): void;
}

const unheard: QueueObserver = { added() {}, retried() {}, started() {} };

export function createQueue(clock: Clock, observer: QueueObserver = unheard): Queue {
  /** Every waiting key is in `dirty` and in `order`, unless it is being processed: then it is only in `dirty`. */
  const dirty = new Set<string>();
  const processing = new Set<string>();
  const order: string[] = [];
  const takers: ((key: string | undefined) => void)[] = [];
  const timers = new Map<string, { at: number; timer: Timer }>();
  const failures = new Map<string, number>();
  let closed = false;

  const hand = (key: string) => {
    dirty.delete(key);
    processing.add(key);
    observer.started(key);
    return key;
  };
  const enqueue = (key: string) => {
    const taker = takers.shift();
    if (taker) taker(hand(key));
    else order.push(key);
  };
  const add = (key: string) => {
    if (closed || dirty.has(key)) return;
    dirty.add(key);
    observer.added(key);
    if (!processing.has(key)) enqueue(key);
  };
  const addAfter = (key: string, milliseconds: number) => {
    if (closed) return;
    if (milliseconds <= 0) {
      add(key);
      return;
    }
    const at = clock.now() + milliseconds;
    const known = timers.get(key);
    if (known && known.at <= at) return;
    known?.timer.cancel();
    const run = () => {
      timers.delete(key);
      add(key);
    };
    timers.set(key, { at, timer: clock.timer(milliseconds, run) });
  };
  return {
    add,
    addAfter,
    addFailed(key) {
      const count = failures.get(key) ?? 0;
      failures.set(key, count + 1);
      observer.retried(key);
      addAfter(key, Math.min(firstDelay * 2 ** count, longestDelay));
    },
    forget: (key) => void failures.delete(key),
    take() {
      if (closed) return Promise.resolve(undefined);
      const key = order.shift();
      if (key !== undefined) return Promise.resolve(hand(key));
      return new Promise((resolve) => takers.push(resolve));
    },
    done(key) {
      processing.delete(key);
      if (!dirty.has(key) || closed) return;
      // It was added while it was worked on: to the end of the line.
      enqueue(key);
    },
    close() {
      closed = true;
      for (const { timer } of timers.values()) timer.cancel();
      timers.clear();
      for (const taker of takers.splice(0)) taker(undefined);
    },
    get busy() {
      return order.length + processing.size;
    },
  };
}
