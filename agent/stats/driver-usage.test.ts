import { expect, test } from "vitest";
import { handClock } from "#test/make";
import { type DriverUsage, DriverUsages } from "./driver-usage.ts";

const bytes = { available: 6, total: 10, used: 4 };

// Upstream's volume_stat_calculator: statistics are the latest that a driver has returned.
test("returns what a driver measures, at most once a minute, with zero for units that it leaves out", async () => {
  const clock = handClock();
  let calls = 0;
  const usages = new DriverUsages(async () => {
    calls++;
    return { bytes };
  }, clock);
  const measured = {
    usage: { bytes: 4, inodes: 0 },
    filesystem: { capacity: 10, available: 6, used: 4, inodes: 0, inodesFree: 0 },
  };
  expect(await usages.of("/a")).toEqual(measured);
  expect(await usages.of("/a")).toEqual(measured);
  expect(calls).toBe(1);
  await clock.forward(60_000);
  await usages.of("/a");
  expect(calls).toBe(2);
});

test("a driver that hangs or fails keeps the latest values and delays an answer by a second at most", async () => {
  const clock = handClock();
  let answer: () => Promise<DriverUsage | undefined> = async () => ({ bytes });
  const usages = new DriverUsages(() => answer(), clock);
  await usages.of("/a");
  answer = () => Promise.reject(new Error("not now"));
  await clock.forward(60_000);
  expect((await usages.of("/a"))?.usage.bytes).toBe(4);
  const late = Promise.withResolvers<DriverUsage>();
  answer = () => late.promise;
  await clock.forward(60_000);
  const waiting = usages.of("/a");
  await clock.forward(1000);
  expect((await waiting)?.usage.bytes).toBe(4);
  late.resolve({ bytes: { ...bytes, used: 5 } });
  expect((await usages.of("/a"))?.usage.bytes).toBe(5);
});
