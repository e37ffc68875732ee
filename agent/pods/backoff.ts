const first = 10_000;
const most = 300_000;

interface Entry {
  delay: number;
  /** When the delay was last raised. */
  at: number;
}

/** Growing delays by key: ten seconds, doubled each time up to five minutes, forgotten after ten minutes of quiet. */
export class Backoff {
  readonly #entries = new Map<string, Entry>();

  /** Milliseconds still to wait, counted from `since`; 0 when there is nothing to wait for. */
  left(key: string, since: number, now: number): number {
    const entry = this.#entries.get(key);
    if (!entry || now - since > 2 * most) return 0;
    return Math.max(0, entry.delay - (now - since));
  }

  delay(key: string): number {
    return this.#entries.get(key)?.delay ?? 0;
  }

  /** When the delay was last raised; 0 if never. */
  raisedAt(key: string): number {
    return this.#entries.get(key)?.at ?? 0;
  }

  /** One more failure: the next delay is longer, unless all was quiet for long before `since`. */
  raise(key: string, now: number): void {
    const entry = this.#entries.get(key);
    const fresh = !entry || now - entry.at > 2 * most;
    this.#entries.set(key, { delay: fresh ? first : Math.min(entry.delay * 2, most), at: now });
  }

  forget(prefix: string): void {
    for (const key of this.#entries.keys()) if (key.startsWith(prefix)) this.#entries.delete(key);
  }
}

/** A delay as Go prints it: `10s`, `1m20s`, `5m0s`. */
export function goDuration(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}
