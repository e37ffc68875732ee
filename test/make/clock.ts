import type { Clock } from "#base";

/** A clock that stands still until it is moved; what is due then runs before `move` returns. */
export interface HandClock extends Clock {
  move(milliseconds: number): void;
}

export function handClock(start = 0): HandClock {
  let now = start;
  let timers: { at: number; run: () => void }[] = [];
  return {
    now: () => now,
    timer(milliseconds, run) {
      const timer = { at: now + milliseconds, run };
      timers.push(timer);
      return {
        cancel() {
          timers = timers.filter((other) => other !== timer);
        },
      };
    },
    move(milliseconds) {
      now += milliseconds;
      const due = timers.filter(({ at }) => at <= now);
      timers = timers.filter(({ at }) => at > now);
      for (const { run } of due) run();
    },
  };
}
