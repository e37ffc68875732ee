import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { plans, playLocal } from "#store/model";
import { sqliteStore } from "#store/sqlite";

describe("sqliteStore under the model checker", () => {
  it("keeps its contract in histories of writers, readers, caches and compactions", async () => {
    const property = fc.asyncProperty(plans(5), async (plan) => {
      const store = sqliteStore({ path: ":memory:" });
      expect(await playLocal(plan, { store, isImmediate: false })).toEqual([]);
      await store.close();
    });
    await fc.assert(property, { numRuns: 150, seed: 4 });
  });
});
