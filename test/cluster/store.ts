import type { Store } from "#store";
import { type Dice, turn } from "#test/make";

/** A store whose calls take as many turns of the event loop as the dice say. */
export interface SlowStore extends Store {
  /** Calls under way; those that wait for a change are none. */
  readonly pending: number;
  /** How many commits have been made through it so far. */
  readonly commits: number;
}

/** In turns of the event loop: mostly a call is quick; now and then others overtake it. */
const delays = [0, 0, 0, 0, 1, 1, 2, 5];

/**
 * A store in memory answers at once, so calls would always take turns in the same way. Here each is held up before it
 * takes effect and before its answer arrives, and word of a change before it is heard: another seed, another order.
 * Without dice all are quick.
 */
export function slowStore(store: Store, dice: Dice | undefined): SlowStore {
  let pending = 0;
  let commits = 0;
  const dawdle = async (): Promise<void> => {
    for (let left = dice?.pick(delays) ?? 0; left > 0; left--) await turn();
  };
  const slow = async <T>(call: () => Promise<T>): Promise<T> => {
    pending++;
    try {
      await dawdle();
      const answer = await call();
      await dawdle();
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
