import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Compacted, Conflict, forwardTo, type Store } from "#store";
import { memoryStore } from "#store/memory";
import { plans, playLocal } from "#store/model";

const play = (make: () => Store) =>
  fc.asyncProperty(
    plans(5),
    async (plan) => (await playLocal(plan, { store: make(), isImmediate: true })).length === 0,
  );

/** Stores that break one promise each. */
const broken: Record<string, (store: Store) => Partial<Store>> = {
  "writes over what it did not expect": (store) => ({
    commit: async (type, writes) => {
      const current = await Promise.all(writes.map((write) => store.get(type, write.key)));
      return store.commit(
        type,
        writes.map((write, index) =>
          write.type === "create" ? write : { ...write, expected: current[index]?.revision ?? write.expected },
        ),
      );
    },
  }),
  "refuses without a reason": (store) => ({
    commit: async (type, writes) => {
      const results = await store.commit(type, writes);
      return results.map((result, index) =>
        result instanceof Error ? new Conflict(writes[index]!.key, undefined) : result,
      );
    },
  }),
  "refuses what it has written": (store) => ({
    commit: async (type, writes) => {
      const results = await store.commit(type, writes);
      return results.map((result) =>
        result instanceof Error || result.revision % 7 ? result : new Conflict(result.key, result),
      );
    },
  }),
  "tells of no deletes": (store) => ({
    changes: async (type, after, limit) => {
      const { changes, through } = await store.changes(type, after, limit);
      const isArchive = limit !== undefined && limit > 1e9;
      return { changes: isArchive ? changes : changes.filter((change) => change.type !== "delete"), through };
    },
  }),
  "tells a change twice": (store) => ({
    changes: async (type, after, limit) => {
      const result = await store.changes(type, after, limit);
      return limit === 2 ? { ...result, through: Math.max(after, result.through - 1) } : result;
    },
  }),
  "forgets the snapshot of an earlier page": (store) => ({
    list: async (type, { at, ...options } = {}) => {
      const page = await store.list(type, options);
      return at === undefined ? page : { ...page, revision: at };
    },
  }),
  "lists what is older than its acknowledgements": (store) => {
    const pages = new Map<string, ReturnType<Store["list"]>>();
    return {
      list: async (type, options = {}) => {
        const key = JSON.stringify(options);
        const page = pages.get(key) ?? store.list(type, options);
        pages.set(key, page);
        return page;
      },
    };
  },
  "does not know its head": (store) => ({ head: async (type) => Math.max(1, (await store.head(type)) - 1) }),
  "says that a place is not gone": (store) => ({
    changes: async (type, after, limit) => {
      try {
        return await store.changes(type, after, limit);
      } catch (error) {
        if (!(error instanceof Compacted)) throw error;
        return store.changes(type, error.floor, limit);
      }
    },
  }),
};

describe("memoryStore under the model checker", () => {
  it("keeps its contract in histories of writers, readers, caches and compactions", async () => {
    await fc.assert(play(memoryStore), { numRuns: 300, seed: 3 });
  });

  it.each(Object.keys(broken))("is found to be faulty if it %s", async (name) => {
    const make = () => {
      const store = memoryStore();
      return { ...forwardTo(store), ...broken[name]!(store) };
    };
    const result = await fc.check(play(make), { numRuns: 300, seed: 3, endOnFailure: true });
    expect(result.failed).toBe(true);
  });
});
