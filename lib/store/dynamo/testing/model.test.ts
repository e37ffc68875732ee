import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { allRules, type Rules } from "../rules.ts";
import { games, playDynamo } from "./model.ts";

/** More than any mutant needs; SKIFF_HISTORIES sets more for the unchanged driver. */
const histories = Number(process.env["SKIFF_HISTORIES"] ?? 1200);
const mostHistories = 2000;
const timeout = 120_000 + histories * 20;

describe("dynamoStore under the model checker", () => {
  it(
    `keeps every promise in ${histories} histories of bad days`,
    async () => {
      const property = fc.asyncProperty(games(), async (game) => {
        const { faults, events } = await playDynamo(game, allRules);
        if (faults.length > 0) throw new Error([...faults, ...events].join("\n"));
      });
      await fc.assert(property, { numRuns: histories, seed: Number(process.env["SKIFF_SEED"] ?? 1) });
    },
    timeout,
  );

  it("plays histories with writes, refusals and unknown outcomes", async () => {
    const sums = { acknowledged: 0, lists: 0, reads: 0, compacted: 0 };
    for (const game of fc.sample(games(), { numRuns: 50, seed: 5 })) {
      const outcome = await playDynamo(game, allRules);
      for (const name of Object.keys(sums) as (keyof typeof sums)[]) sums[name] += outcome[name];
    }
    expect(sums.acknowledged).toBeGreaterThan(200);
    expect(sums.lists).toBeGreaterThan(100);
    expect(sums.reads).toBeGreaterThan(200);
    expect(sums.compacted).toBeGreaterThan(3);
  });

  it.each(Object.keys(allRules) as (keyof Rules)[])(
    "notices that the rule %s is left out",
    async (rule) => {
      const mutant = { ...allRules, [rule]: false };
      const property = fc.asyncProperty(games(), async (game) => (await playDynamo(game, mutant)).faults.length === 0);
      const result = await fc.check(property, { numRuns: mostHistories, seed: 7, endOnFailure: true });
      expect(result.failed, `${rule} can be left out without notice in ${result.numRuns} histories`).toBe(true);
    },
    timeout,
  );
});
