import type { Random } from "#base";

/** The first and the longest delay, and after how long without a failure the first follows again; in milliseconds. */
export const backoffBounds = { first: 10_000, longest: 300_000, forgotten: 600_000 } as const;
const { first, longest, forgotten } = backoffBounds;

interface Entry {
  delay: number;
  /** When the delay was last raised. */
  at: number;
}

/**
 * Growing delays by key: ten seconds, doubled each time up to five minutes, begun again after ten minutes without a
 * failure (client-go's flowcontrol.Backoff with the kubelet's numbers). Times are milliseconds since the epoch.
 */
export class Backoff {
  readonly #entries = new Map<string, Entry>();

  /** Milliseconds still to wait for what failed at `since`; 0 when there is nothing to wait for. */
  left(key: string, since: number, now: number): number {
    const entry = this.#entries.get(key);
    if (!entry || since - entry.at > forgotten) return 0;
    return Math.max(0, entry.delay - (now - since));
  }

  /** Milliseconds still to wait since the delay was raised last. */
  leftSinceRaised(key: string, now: number): number {
    return this.left(key, this.#entries.get(key)?.at ?? now, now);
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  delay(key: string): number {
    return this.#entries.get(key)?.delay ?? 0;
  }

  /** The next delay is longer, unless what fails had been well for long before it failed at `since`. */
  raise(key: string, since: number, now: number): void {
    const entry = this.#entries.get(key);
    const fresh = !entry || since - entry.at > forgotten;
    this.#entries.set(key, { delay: fresh ? first : Math.min(entry.delay * 2, longest), at: now });
  }

  forget(prefix: string): void {
    for (const key of this.#entries.keys()) if (key.startsWith(prefix)) this.#entries.delete(key);
  }
}

/**
 * How long a pod waits after a step that failed: upstream's pod workers take ten seconds and up to half as much again.
 */
export const retryDelay = (random: Random): number => 10_000 * (1 + random.fraction() / 2);

/** A delay as Go prints it: `10s`, `1m20s`, `5m0s`. */
export function goDuration(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}
