import type { Clock } from "#base";

/** A clock that only moves when a test moves it. Timers run in order of due time, then of creation. */
export interface HandClock extends Clock {
  /**
   * Moves by so many milliseconds; timers that become due run, each at its own time, before the call returns. A
   * negative number sets the clock back and runs nothing.
   */
  move(milliseconds: number): void;
  /** Like `move`, and waits for `settle` at the start, after each timer and at the end. */
  forward(milliseconds: number): Promise<void>;
  /** When the next timer is due, in milliseconds since the epoch; undefined when none is set. */
  readonly due: number | undefined;
  /** How many timers are set. */
  readonly timers: number;
}

/** Resolves in the next turn of the event loop: everything that waits for neither a timer nor input has run by then. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * `start` in milliseconds since the epoch; `settle` resolves when only a timer can cause more work. Default: one turn
 * of the event loop.
 */
export function handClock(start = 0, settle: () => Promise<void> = turn): HandClock {
  let now = start;
  const timers = new Set<{ at: number; run: () => void }>();
  const first = () => {
    let found: { at: number; run: () => void } | undefined;
    for (const timer of timers) if (!found || timer.at < found.at) found = timer;
    return found;
  };
  /** Runs the next timer that is due by `end`; false when there is none. */
  const step = (end: number): boolean => {
    const next = first();
    if (!next || next.at > end) return false;
    timers.delete(next);
    now = Math.max(now, next.at);
    next.run();
    return true;
  };
  return {
    now: () => now,
    timer(milliseconds, run) {
      const timer = { at: now + Math.max(0, milliseconds), run };
      timers.add(timer);
      return { cancel: () => void timers.delete(timer) };
    },
    move(milliseconds) {
      const end = now + milliseconds;
      while (step(end));
      now = end;
    },
    async forward(milliseconds) {
      const end = now + milliseconds;
      await settle();
      while (step(end)) await settle();
      now = end;
    },
    get due() {
      return first()?.at;
    },
    get timers() {
      return timers.size;
    },
  };
}
