import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { memoryStore } from "#store/memory";
import { plans, playLocal } from "#store/model";

describe("memoryStore under the model checker", () => {
  it("keeps every promise in histories of writers, readers, caches and compactions", async () => {
    const property = fc.asyncProperty(plans(5), async (plan) => {
      expect(await playLocal(plan, { store: memoryStore(), isImmediate: true })).toEqual([]);
    });
    await fc.assert(property, { numRuns: 300, seed: 3 });
  });
});
