/** A timer that has been set and can still be called off. */
export interface Timer {
  cancel(): void;
}

/** Time as a thing that is passed in, so that tests own it. */
export interface Clock {
  /** Milliseconds since 1970-01-01T00:00:00Z. */
  now(): number;
  /** Runs `run` once, `milliseconds` from now, unless it is cancelled before. */
  timer(milliseconds: number, run: () => void): Timer;
}

/** The longest time of setTimeout, some 25 days: it treats a longer one as 1 ms. */
const longestTimeout = 2 ** 31 - 1;

/**
 * The machine's own clock. Its timers keep the process alive, so the setter of one must cancel it. A timer may be of
 * any length; one of no number throws RangeError.
 */
export const systemClock: Clock = {
  now: () => Date.now(),
  timer: (milliseconds, run) => {
    if (Number.isNaN(milliseconds)) throw new RangeError("a timer needs a number of milliseconds");
    let handle: NodeJS.Timeout;
    const wait = (left: number): void => {
      const step = Math.min(left, longestTimeout);
      handle = setTimeout(() => (left > step ? wait(left - step) : run()), step);
    };
    wait(milliseconds);
    return { cancel: () => clearTimeout(handle) };
  },
};

/** Whether the promise settles within a time; then rejects if it rejects. The promise itself continues. */
export async function within(clock: Clock, milliseconds: number, promise: Promise<unknown>): Promise<boolean> {
  let timer: Timer | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = clock.timer(milliseconds, () => resolve(false));
  });
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    timer?.cancel();
  }
}

/** Waits; resolves early (never rejects) when the signal aborts, so that loops can look at the signal themselves. */
export function sleep(clock: Clock, milliseconds: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      timer.cancel();
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = clock.timer(milliseconds, done);
    signal?.addEventListener("abort", done, { once: true });
  });
}
