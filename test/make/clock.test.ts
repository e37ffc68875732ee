import { expect, test } from "vitest";
import { handClock } from "./index.ts";

test("timers run in order of due time, then of creation, each at its own time", () => {
  const clock = handClock(1000);
  const ran: string[] = [];
  const set = (name: string, milliseconds: number) =>
    clock.timer(milliseconds, () => ran.push(`${name} ${clock.now()}`));
  set("late", 30);
  set("first", 10);
  set("second", 10);
  set("cancelled", 20).cancel();
  clock.timer(15, () => set("on the way", 5));
  clock.move(29);
  expect(ran).toEqual(["first 1010", "second 1010", "on the way 1020"]);
  expect([clock.now(), clock.due, clock.timers]).toEqual([1029, 1030, 1]);
});

test("forward waits until the work of a timer has settled before the next timer runs", async () => {
  const clock = handClock();
  const ran: string[] = [];
  clock.timer(10, () => void Promise.resolve().then(() => clock.timer(5, () => ran.push("set by the first"))));
  clock.timer(20, () => ran.push("last"));
  await clock.forward(20);
  expect(ran).toEqual(["set by the first", "last"]);
});

test("a clock that is set back runs nothing", () => {
  const clock = handClock(1000);
  let runs = 0;
  clock.timer(0, () => runs++);
  clock.move(-500);
  expect([clock.now(), runs]).toEqual([500, 0]);
});
