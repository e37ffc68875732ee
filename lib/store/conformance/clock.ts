import type { Clock } from "#base";

/** A clock that stands still until it is moved. */
export interface ManualClock extends Clock {
  /** Moves it, running the timers that come due on the way, in order. */
  advance(milliseconds: number): Promise<void>;
  /** When the next timer is due; undefined when none is set. */
  nextDue(): number | undefined;
}

interface Due {
  at: number;
  run: () => void;
}

export function manualClock(start = 1_700_000_000_000): ManualClock {
  let now = start;
  const timers = new Set<Due>();
  const next = (): Due | undefined => {
    let first: Due | undefined;
    for (const timer of timers) if (!first || timer.at < first.at) first = timer;
    return first;
  };
  return {
    now: () => now,
    timer: (milliseconds, run) => {
      const timer = { at: now + Math.max(0, milliseconds), run };
      timers.add(timer);
      return { cancel: () => void timers.delete(timer) };
    },
    nextDue: () => next()?.at,
    advance: async (milliseconds) => {
      const until = now + milliseconds;
      for (let due = next(); due && due.at <= until; due = next()) {
        timers.delete(due);
        now = due.at;
        due.run();
        await settled();
      }
      now = until;
      await settled();
    },
  };
}

/** Resolves when everything that waits for no timer and no input has run. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
