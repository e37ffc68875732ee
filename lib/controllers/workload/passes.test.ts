import { expect, test } from "vitest";
import { handClock } from "#test/make";
import { inOnePass } from "./passes.ts";

const numbers = (count: number): number[] => Array.from({ length: count }, (_, at) => at);
const turn = () => new Promise((done) => setImmediate(done));

test("processes each object once, eight at a time, from lists and from generators", async () => {
  const seen: number[] = [];
  let underway = 0;
  let most = 0;
  const act = async (number: number): Promise<void> => {
    most = Math.max(most, ++underway);
    await turn();
    underway--;
    seen.push(number);
  };
  expect(await inOnePass(handClock(), numbers(30), act)).toBe(true);
  async function* read() {
    for (const number of numbers(30)) {
      await turn();
      yield number + 30;
    }
  }
  expect(await inOnePass(handClock(), read(), act)).toBe(true);
  expect(seen.sort((a, b) => a - b)).toEqual(numbers(60));
  expect(most).toBe(8);
  expect(await inOnePass(handClock(), [], act)).toBe(true);
});

test("ends a pass after its time, completes what was started, and reports that objects are left", async () => {
  const clock = handClock();
  let done = 0;
  const slow = async (): Promise<void> => {
    clock.move(1000);
    await turn();
    done++;
  };
  expect(await inOnePass(clock, numbers(100), slow)).toBe(false);
  expect(done).toBe(20);
  expect(await inOnePass(clock, numbers(10), slow)).toBe(true);
  async function* late() {
    for (const number of numbers(10)) {
      clock.move(30_000);
      yield number;
    }
  }
  done = 0;
  expect(await inOnePass(clock, late(), slow)).toBe(false);
  expect(done).toBe(8);
});

test("a failure ends the pass and is thrown when nothing is in flight any more", async () => {
  let begun = 0;
  let done = 0;
  const act = async (number: number): Promise<void> => {
    begun++;
    await turn();
    if (number === 3) throw new Error("refused");
    await turn();
    done++;
  };
  await expect(inOnePass(handClock(), numbers(100), act)).rejects.toThrow("refused");
  expect([begun, done]).toEqual([8, 7]);
});
