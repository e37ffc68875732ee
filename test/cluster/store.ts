import type { Store } from "#store";
import { type Dice, turn } from "#test/make";

/** A store whose calls take a number of turns of the event loop that dice decide. */
export interface SlowStore extends Store {
  /** Calls in flight, without those that wait for a change. */
  readonly pending: number;
  /** How many commits have been made through it so far. */
  readonly commits: number;
}

/** In turns of the event loop: most calls are quick, some are overtaken by others. */
const delays = [0, 0, 0, 0, 1, 1, 2, 5];

/**
 * A memory store answers at once, so calls would always interleave in the same way. Here each call is delayed before it
 * takes effect and before its result arrives, and so are notifications of changes: another seed, another order. Without
 * dice nothing is delayed.
 */
export function slowStore(store: Store, dice: Dice | undefined): SlowStore {
  let pending = 0;
  let commits = 0;
  const delay = async (): Promise<void> => {
    for (let left = dice?.pick(delays) ?? 0; left > 0; left--) await turn();
  };
  const slow = async <T>(call: () => Promise<T>): Promise<T> => {
    pending++;
    try {
      await delay();
      const answer = await call();
      await delay();
      return answer;
    } finally {
      pending--;
    }
  };
  return {
    get: (type, key) => slow(() => store.get(type, key)),
    head: (type) => slow(() => store.head(type)),
    list: (type, options) => slow(() => store.list(type, options)),
    commit: (type, writes) =>
      slow(() => {
        commits++;
        return store.commit(type, writes);
      }),
    changes: (type, after, limit) => slow(() => store.changes(type, after, limit)),
    changed: async (type, after, signal) => {
      await store.changed(type, after, signal);
      await slow(async () => {});
    },
    compact: (type, before) => slow(() => store.compact(type, before)),
    close: () => store.close(),
    get pending() {
      return pending;
    },
    get commits() {
      return commits;
    },
  };
}
