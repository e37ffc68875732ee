/**
 * The port's contract as tests: every driver runs all of it in a test file beside itself. It needs vitest, so only
 * tests may import it. It knows what the port promises and nothing of any driver.
 */
import { afterAll, beforeAll, describe } from "vitest";
import type { Store } from "#store";
import { changing } from "./changing.ts";
import { listing } from "./listing.ts";
import { writing } from "./writing.ts";

export { bodyOf, create, entryOf, readLog, remove, textOf, update } from "./make.ts";

/** What a driver's test opens: a store, and how to leave nothing behind. */
export interface Opened {
  store: Store;
  /** Called after the store's own close. */
  cleanUp?: () => Promise<void> | void;
}

/** What a section's tests get: the one store, and a name for a type that no other test has. */
export interface Bench {
  store(): Store;
  newType(): string;
}

/** Runs the contract. The store is opened once; each test takes types of its own, which drivers must keep apart. */
export function storeConformance(name: string, open: () => Promise<Opened>): void {
  describe(`${name} keeps the store's contract`, () => {
    let opened: Opened | undefined;
    let types = 0;
    beforeAll(async () => {
      opened = await open();
    });
    afterAll(async () => {
      await opened?.store.close();
      await opened?.cleanUp?.();
    });
    const bench: Bench = {
      store: () => opened!.store,
      newType: () => `group.example/things${++types}`,
    };
    describe("writing", () => writing(bench));
    describe("listing", () => listing(bench));
    describe("changing", () => changing(bench));
  });
}
