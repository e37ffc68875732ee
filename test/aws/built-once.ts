import { inject } from "vitest";
import type { Built } from "./stage.ts";

/** The bundles and the wiring that `setup.ts` has built for all tests of a run. */
export const builtOnce = (): Built => inject("built");
