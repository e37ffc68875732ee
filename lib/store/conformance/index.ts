/**
 * The port's contract as tests, which every driver runs in a test file. It needs vitest, so only tests may import it.
 * It knows the port and no driver.
 */
import { afterAll, beforeAll, describe } from "vitest";
import type { Store } from "#store";
import { changing } from "./changing.ts";
import { listing } from "./listing.ts";
import { writing } from "./writing.ts";

export { bodyOf, create, entryOf, readLog, remove, textOf, update } from "./make.ts";

/** The store of a driver's test, and how to clean up. */
export interface Opened {
  store: Store;
  /** Called after the store's own close. */
  cleanUp?: () => Promise<void> | void;
}

/** What each test gets: the store, and a type name that no other test has. */
export interface Bench {
  store(): Store;
  newType(): string;
}

/** Runs the contract. The store is opened once; each test has types of its own, which drivers must keep apart. */
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
