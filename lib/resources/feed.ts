import { messageOf, sleep } from "#base";
import { type Change, Compacted } from "#store";
import type { Resources } from "./resources.ts";

/** Receives a type's changes. Both methods are called synchronously and must return at once. */
export interface Listener {
  /**
   * Changes in order, each once; `through` is the revision up to which everything has been delivered. The next call waits
   * for a promise that it returns.
   */
  changes(changes: readonly Change[], through: number): Promise<void> | void;
  /** The last call: the changes that follow are gone (Compacted) or cannot be read. */
  lost(error: unknown): void;
}

/** Delivers every change above `after`, which may be a future revision. Returns the function that stops it. */
export async function follow(
  resources: Resources,
  type: string,
  after: number,
  listener: Listener,
): Promise<() => void> {
  const cache = await resources.cache(type);
  if (cache) return cache.follow(after, listener.changes, listener.lost);
  const from = Math.min(after, await resources.store.head(type));
  const stopped = new AbortController();
  void poll(resources, type, from, listener, stopped.signal);
  return () => stopped.abort();
}

const retryAfter = 1000;

/** Without a cache each watch reads the log itself. */
async function poll(
  resources: Resources,
  type: string,
  from: number,
  listener: Listener,
  signal: AbortSignal,
): Promise<void> {
  let after = from;
  while (!signal.aborted) {
    try {
      const read = await resources.store.changes(type, after);
      if (signal.aborted) return;
      if (read.through > after) await listener.changes(read.changes, read.through);
      after = read.through;
      if (read.changes.length === 0) await resources.store.changed(type, after, signal);
    } catch (error) {
      if (error instanceof Compacted) return listener.lost(error);
      resources.log.warn("a watch could not read the log and tries again", { type, error: messageOf(error) });
      await sleep(resources.clock, retryAfter, signal);
    }
  }
}
