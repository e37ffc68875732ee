import { beforeAll, expect, test } from "vitest";
import { builtOnce } from "./built-once.ts";
import { live } from "./chaos.ts";
import type { Built } from "./stage.ts";

/*
 * `SKIFF_CHAOS_RUNS=200 npm run test:aws -- chaos` for many runs; `SKIFF_CHAOS_SEED` sets the first seed, as a failure
 * prints it.
 */
const count = Number(process.env["SKIFF_CHAOS_RUNS"] ?? 3);
const first = Number(process.env["SKIFF_CHAOS_SEED"] ?? 1);

let built: Built;
beforeAll(async () => {
  built = builtOnce();
}, 120_000);

test.each(Array.from({ length: count }, (_, place) => first + place))(
  "seed %i ends as it must",
  async (seed) => {
    const report = await live(built, seed);
    process.stdout.write(`${JSON.stringify(report)}\n`);
    expect(Object.keys(report.faults).length).toBeGreaterThan(3);
  },
  400_000,
);
