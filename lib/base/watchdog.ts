import type { Clock, Timer } from "./clock.ts";

export interface WatchdogOptions {
  clock: Clock;
  /** Milliseconds between two questions, and the longest that an answer may take. */
  every: number;
  /** Asks the other end, and says when it has answered. */
  ask(answered: () => void): void;
  /** Called once, when a question was not answered in time; nothing is asked after it. */
  broken(): void;
}

/** Asks the other end of a connection now and then whether it is still there. Returns what ends it. */
export function watchdog({ clock, every, ask, broken }: WatchdogOptions): () => void {
  let isAnswered = true;
  let timer: Timer;
  const round = (): void => {
    if (!isAnswered) {
      broken();
      return;
    }
    isAnswered = false;
    timer = clock.timer(every, round);
    ask(() => {
      isAnswered = true;
    });
  };
  timer = clock.timer(every, round);
  return () => timer.cancel();
}
