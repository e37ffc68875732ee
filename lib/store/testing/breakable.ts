import { forwardTo, type Store } from "#store";
import { memoryStore } from "#store/memory";

/** A memory store whose log can become unavailable. */
export function breakable() {
  const store = memoryStore();
  const broken = { changes: undefined as Error | undefined, changed: false, reads: 0 };
  const wrapped: Store = {
    ...forwardTo(store),
    changes: async (name, after, limit) => {
      broken.reads++;
      if (broken.changes) throw broken.changes;
      return store.changes(name, after, limit);
    },
    changed: async (name, after, signal) => {
      if (!broken.changed) return store.changed(name, after, signal);
      return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    },
  };
  return { store: wrapped, broken };
}
