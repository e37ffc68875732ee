import { rmSync } from "node:fs";
import type { TestProject } from "vitest/node";
import { type Built, build } from "./stage.ts";

declare module "vitest" {
  interface ProvidedContext {
    built: Built;
  }
}

let built: Built | undefined;

/** Bundles and templates are built once for all tests of a run. */
export async function setup({ provide }: TestProject): Promise<void> {
  built = await build();
  provide("built", built);
}

export function teardown(): void {
  if (built) rmSync(built.folder, { recursive: true, force: true });
}
