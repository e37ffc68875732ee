import fc from "fast-check";
import type { Troubles } from "./world.ts";

/** A commit of a writer on some keys. Its writes depend on the objects that exist. */
export interface Step {
  keys: number[];
  /** Whether existing objects are deleted rather than updated. */
  isDelete: boolean;
  /** Expects a revision that the object does not have, or creates an existing object. */
  isStale: boolean;
}

/** The plan of one history; the seed decides everything else. */
export interface Plan {
  seed: number;
  keys: number;
  writers: Step[][];
  followers: number;
  lists: number;
  catchUps: number;
  compactions: number;
  troubles: Troubles;
}

const second = 1000;
const hour = 3600 * second;

/** Plans for fast-check. Small ones come first when it shrinks. */
export function plans(steps: number): fc.Arbitrary<Plan> {
  const step = fc.record({
    keys: fc.uniqueArray(fc.nat(2), { minLength: 1, maxLength: 3 }),
    isDelete: fc.boolean(),
    isStale: fc.integer({ min: 0, max: 5 }).map((dice) => dice === 5),
  });
  const writer = fc.array(step, { minLength: 1, maxLength: steps });
  const jumps = fc.constantFrom<number[][]>(
    [1100, 2000],
    [1100, 11 * second],
    [2000, 11 * 60 * second],
    [2000, 13 * hour],
    [2000, 11 * 60 * second, 13 * hour, 25 * hour],
    [25 * hour],
  );
  return fc.record({
    seed: fc.nat(),
    keys: fc.integer({ min: 1, max: 3 }),
    writers: fc.array(writer, { minLength: 2, maxLength: 4 }),
    followers: fc.nat(2),
    lists: fc.nat(4),
    catchUps: fc.nat(3),
    compactions: fc.nat(4),
    troubles: fc.record({
      crash: fc.constantFrom(0, 0.002, 0.01),
      freeze: fc.constantFrom(0, 0.01, 0.03),
      jump: fc.constantFrom(0, 0.005, 0.015),
      jumps,
    }),
  });
}
