import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { systemClock } from "./clock.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const day = 86_400_000;

test("supports timers that are longer than setTimeout's 25 days", () => {
  const run = vi.fn();
  systemClock.timer(60 * day, run);
  vi.advanceTimersByTime(60 * day - 1);
  expect(run).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(run).toHaveBeenCalledTimes(1);
});

test("a long timer can be cancelled after its first part", () => {
  const run = vi.fn();
  const timer = systemClock.timer(60 * day, run);
  vi.advanceTimersByTime(30 * day);
  timer.cancel();
  vi.advanceTimersByTime(60 * day);
  expect(run).not.toHaveBeenCalled();
});

test("a timer of no number is refused", () => {
  expect(() => systemClock.timer(Number.NaN, () => {})).toThrow(RangeError);
});
