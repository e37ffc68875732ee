import { expect, test } from "vitest";
import type { CSIDriver } from "#api";
import { silentLog } from "#base";
import { handClock } from "#test/make";
import { CountUpdates } from "./count-updates.ts";

// Upstream's csiNodeUpdater.
test("reads a driver's count at the period of its object, and not without one", async () => {
  const clock = handClock();
  const updated: string[] = [];
  const periods: Record<string, number | undefined> = { a: 30, b: undefined, c: 10 };
  const updates = new CountUpdates({
    drivers: {
      names: () => Object.keys(periods),
      update: async (name) => {
        updated.push(name);
        // A driver that hangs, and one that fails, delay no other.
        if (name === "c") await new Promise(() => {});
      },
    },
    csiDriver: async (name) =>
      ({ metadata: { name }, spec: { nodeAllocatableUpdatePeriodSeconds: periods[name] } }) as CSIDriver,
    clock,
    log: silentLog,
  }).start();
  await clock.forward(25_000);
  expect(updated).toEqual(["c"]);
  await clock.forward(70_000);
  expect(updated.filter((name) => name === "a")).toHaveLength(3);
  expect(updated.filter((name) => name === "c")).toHaveLength(1);
  expect(updated).not.toContain("b");
  periods["a"] = undefined;
  await clock.forward(100_000);
  expect(updated.filter((name) => name === "a")).toHaveLength(3);
  await updates.stop();
});
