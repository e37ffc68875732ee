import { expect, test } from "vitest";
import { handClock } from "#test/make";
import { createQueue } from "./queue.ts";

test("hands a key to one worker at a time, and once more when it was added meanwhile", async () => {
  const queue = createQueue(handClock());
  queue.add("a");
  queue.add("a");
  expect(await queue.take()).toBe("a");
  queue.add("a");
  queue.add("a");
  queue.add("b");
  expect(await queue.take()).toBe("b");
  let second: string | undefined;
  const waiting = queue.take().then((key) => {
    second = key;
  });
  await Promise.resolve();
  expect(second).toBeUndefined();
  queue.done("a");
  await waiting;
  expect(second).toBe("a");
  queue.done("a");
  queue.done("b");
  expect(queue.busy).toBe(0);
});

test("doubles the backoff with each failure, and resets it", async () => {
  const clock = handClock();
  const queue = createQueue(clock);
  for (const delay of [5, 10, 20]) {
    queue.addFailed("a");
    clock.move(delay - 1);
    expect(queue.busy).toBe(0);
    clock.move(1);
    expect(await queue.take()).toBe("a");
    queue.done("a");
  }
  queue.forget("a");
  queue.addFailed("a");
  clock.move(5);
  expect(await queue.take()).toBe("a");
});

test("uses the shorter of two delays, and cancels it when closed", async () => {
  const clock = handClock();
  const queue = createQueue(clock);
  queue.addAfter("a", 100);
  queue.addAfter("a", 10);
  queue.addAfter("a", 50);
  clock.move(10);
  expect(await queue.take()).toBe("a");
  queue.done("a");
  clock.move(1000);
  const waiting = queue.take();
  queue.close();
  expect(await waiting).toBeUndefined();
});
