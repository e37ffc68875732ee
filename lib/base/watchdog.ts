import type { Clock, Timer } from "./clock.ts";

export interface WatchdogOptions {
  clock: Clock;
  /** Milliseconds between two questions, and the longest that an answer may take. */
  every: number;
  /** Sends a ping, and resolves when it is answered. */
  ask(answered: () => void): void;
  /** Called once, when a ping was not answered in time; no ping follows. */
  broken(): void;
}

/** Pings the other end of a connection periodically. Returns the function that stops it. */
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
