import { messageOf, sleep } from "#base";
import { type Change, Compacted } from "#store";
import type { Server } from "./server.ts";

/** Follows a type's changes. Both are called synchronously and must only take note. */
export interface Listener {
  /**
   * Changes in order, each once; `through` is the revision up to which everything has been told. No more come before a
   * promise that it returns has resolved.
   */
  changes(changes: readonly Change[], through: number): Promise<void> | void;
  /** No more will come: what lies ahead is gone (Compacted) or cannot be read. */
  lost(error: unknown): void;
}

/** Tells every change above `after`, which may lie ahead; `lost` hears Compacted when it is too old. Returns how to stop. */
export async function follow(server: Server, type: string, after: number, listener: Listener): Promise<() => void> {
  const cache = await server.cache?.(type);
  if (cache) return cache.follow(after, listener.changes, listener.lost);
  const from = Math.min(after, await server.store.head(type));
  const stopped = new AbortController();
  void poll(server, type, from, listener, stopped.signal);
  return () => stopped.abort();
}

const retryAfter = 1000;

/** Without a cache each follower reads the log for itself. */
async function poll(
  server: Server,
  type: string,
  from: number,
  listener: Listener,
  signal: AbortSignal,
): Promise<void> {
  let after = from;
  while (!signal.aborted) {
    try {
      const read = await server.store.changes(type, after);
      if (signal.aborted) return;
      if (read.through > after) await listener.changes(read.changes, read.through);
      after = read.through;
      if (read.changes.length === 0) await server.store.changed(type, after, signal);
    } catch (error) {
      if (error instanceof Compacted) return listener.lost(error);
      server.log.warn("a watch could not read the log and tries again", { type, error: messageOf(error) });
      await sleep(server.clock, retryAfter, signal);
    }
  }
}
