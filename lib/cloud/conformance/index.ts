/**
 * The port's contract as tests: every driver runs all of them in a test file of its own. They need vitest, so only
 * tests may import them. They test what the port promises and know no driver.
 */
import { describe } from "vitest";
import { balancing } from "./balancing.ts";
import { dying } from "./dying.ts";
import { routing } from "./routing.ts";
import type { Bench } from "./world.ts";

export { type Bench, type Fault, inOrder, type Seen, type World } from "./world.ts";

/** Defines the tests of the contract; each opens its own worlds. */
export function cloudConformance(name: string, bench: Bench): void {
  describe(`${name} fulfils the contract of the cloud port`, () => {
    balancing(bench);
    routing(bench);
    dying(bench);
  });
}
