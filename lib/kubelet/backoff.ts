import type { Random } from "#base";

/**
 * The first and the longest delay, and the time without a failure after which the first is used again; in
 * milliseconds.
 */
export const backoffBounds = { first: 10_000, longest: 300_000, reset: 600_000 } as const;
const { first, longest, reset } = backoffBounds;

interface Entry {
  delay: number;
  /** When the delay was last raised. */
  at: number;
}

/**
 * Growing delays by key: ten seconds, doubled each time up to five minutes, reset after ten minutes without a failure
 * (client-go's flowcontrol.Backoff with the kubelet's values). Times are milliseconds since the epoch.
 */
export class Backoff {
  readonly #entries = new Map<string, Entry>();

  /** Milliseconds still to wait after a failure at `since`; 0 when none are left. */
  left(key: string, since: number, now: number): number {
    const entry = this.#entries.get(key);
    if (!entry || since - entry.at > reset) return 0;
    return Math.max(0, entry.delay - (now - since));
  }

  /** Milliseconds still to wait since the delay was last raised. */
  leftSinceRaised(key: string, now: number): number {
    return this.left(key, this.#entries.get(key)?.at ?? now, now);
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  delay(key: string): number {
    return this.#entries.get(key)?.delay ?? 0;
  }

  /** Raises the delay; resets it if there was no failure for long before that at `since`. */
  raise(key: string, since: number, now: number): void {
    const entry = this.#entries.get(key);
    const isReset = !entry || since - entry.at > reset;
    this.#entries.set(key, { delay: isReset ? first : Math.min(entry.delay * 2, longest), at: now });
  }

  forget(prefix: string): void {
    for (const key of this.#entries.keys()) if (key.startsWith(prefix)) this.#entries.delete(key);
  }
}

/**
 * The delay of a pod after a failed step: ten seconds plus up to half of that, as upstream's pod workers.
 */
export const retryDelay = (random: Random): number => 10_000 * (1 + random.fraction() / 2);
