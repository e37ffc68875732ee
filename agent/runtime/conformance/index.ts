import { afterAll, beforeAll, describe } from "vitest";
import { changeTests } from "./changes.ts";
import { containerTests } from "./containers.ts";
import { processTests } from "./processes.ts";
import { sandboxTests } from "./sandboxes.ts";
import { forwardTests, sessionTests } from "./sessions.ts";
import { type ConformanceSetting, Stage } from "./stage.ts";

export type { ConformanceSetting } from "./stage.ts";

/** The contract of the runtime port. Every driver passes these tests, in its own file. */
export function runtimeConformance(name: string, open: () => Promise<ConformanceSetting>): void {
  describe(`runtime conformance: ${name}`, () => {
    const stage = new Stage(open);
    beforeAll(() => stage.open());
    afterAll(() => stage.close());
    sandboxTests(stage);
    containerTests(stage);
    processTests(stage);
    sessionTests(stage);
    forwardTests(stage);
    changeTests(stage);
  });
}
