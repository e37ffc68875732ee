import { expect, test } from "vitest";
import { handClock } from "#test/make";
import { SharedReads } from "./shared-reads.ts";

/** Reads that answer when the test says so, each with its number. */
function reads() {
  const clock = handClock(0);
  const open: { resolve(value: number): void; reject(error: Error): void }[] = [];
  let count = 0;
  const shared = new SharedReads<number>(() => {
    count++;
    return new Promise((resolve, reject) => open.push({ resolve, reject }));
  }, clock);
  const answer = async (value: number): Promise<void> => {
    open.shift()?.resolve(value);
    await new Promise(setImmediate);
  };
  const fail = async (): Promise<void> => {
    open.shift()?.reject(new Error("gone"));
    await new Promise(setImmediate);
  };
  return { clock, shared, answer, fail, count: () => count };
}

test("calls during a read share the next one, which begins after them", async () => {
  const { shared, answer, count } = reads();
  const first = shared.fresh("a", "one");
  const others = [shared.fresh("a", "one"), shared.fresh("a", "one"), shared.recent("a", "one")];
  expect(count()).toBe(1);
  await answer(1);
  expect(await first).toBe(1);
  expect(count()).toBe(2);
  await answer(2);
  expect(await Promise.all(others)).toEqual([2, 2, 2]);
  void shared.fresh("a", "one");
  expect(count()).toBe(3);
});

test("a recent object is not read again, a fresh one is", async () => {
  const { clock, shared, answer, count } = reads();
  const first = shared.recent("a", "one");
  await answer(1);
  expect(await first).toBe(1);
  clock.move(49_000);
  expect(await shared.recent("a", "one")).toBe(1);
  expect(count()).toBe(1);
  const other = shared.recent("b", "one");
  await answer(7);
  expect(await other).toBe(7);
  clock.move(1000);
  const again = shared.recent("a", "one");
  await answer(3);
  expect(await again).toBe(3);
});

test("a read that fails fails its own callers, and neither the next one nor what is recent", async () => {
  const { shared, answer, fail, count } = reads();
  const first = shared.fresh("a", "one");
  const second = shared.fresh("a", "one");
  const failed = expect(first).rejects.toThrow("gone");
  await fail();
  await failed;
  await answer(2);
  expect(await second).toBe(2);
  expect(await shared.recent("a", "one")).toBe(2);
  expect(count()).toBe(2);
});
