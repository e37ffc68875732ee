/**
 * The port's contract as tests: every driver runs all of it in a test file beside itself. It needs vitest, so only
 * tests may import it. It knows what the port promises and nothing of any driver.
 */
import { describe } from "vitest";
import { balancing } from "./balancing.ts";
import { dying } from "./dying.ts";
import { routing } from "./routing.ts";
import type { Bench } from "./world.ts";

export { type Bench, type Fault, inOrder, type Seen, type World } from "./world.ts";

/** Runs the contract; each test opens worlds of its own. */
export function cloudConformance(name: string, bench: Bench): void {
  describe(`${name} keeps the cloud's contract`, () => {
    balancing(bench);
    routing(bench);
    dying(bench);
  });
}
