import { type Clock, type Log, messageOf, sleep } from "#base";
import { Compacted } from "./errors.ts";
import type { Change, Store } from "./port.ts";
import type { Recent } from "./recent.ts";

/** Gets changes that follow what it got before, and how far the log has been told; it must only take note of them. */
export type Listener = (changes: Change[], through: number) => void;

/**
 * Delivers every change above `after`, in order and once, for ever; nothing before the call returns. `after` may lie
 * ahead of the cache: then only what is above it is told. `onLost` is the last thing a follower hears: Compacted when
 * changes above its place are gone, or the error for which the cache was closed. Returns what ends it silently.
 */
export type Follow = (after: number, listener: Listener, onLost: (error: Error) => void) => () => void;

interface Follower {
  /** Told up to here. */
  at: number;
  listener: Listener;
  onLost: (error: Error) => void;
}

interface Source {
  store: Store;
  type: string;
  clock: Clock;
  log: Log;
  recent(): Recent;
  /** Wakes the reader of the log, which may rest while nobody follows. */
  poke(): void;
}

const firstBackoff = 100;
const longestBackoff = 5000;

/** Those who follow one cache. One read of the log serves them all. */
export class Followers {
  readonly #source: Source;
  /** All who have not ended, and those among them who have caught up with the window. */
  readonly #all = new Set<Follower>();
  readonly #live = new Set<Follower>();
  #closed: Error | undefined;

  constructor(source: Source) {
    this.#source = source;
  }

  get size(): number {
    return this.#all.size;
  }

  readonly follow: Follow = (after, listener, onLost) => {
    const follower: Follower = { at: after, listener, onLost };
    this.#all.add(follower);
    if (this.#all.size === 1) this.#source.poke();
    queueMicrotask(() => void this.#begin(follower));
    return () => this.#end(follower);
  };

  /** Passes on what the reader has just put into the window. */
  deliver(changes: Change[], through: number): void {
    for (const follower of this.#live) this.#tell(follower, changes, through);
  }

  /** The window starts anew at `revision`: who is not so far can no longer be told what lies between. */
  restart(revision: number, backwards: boolean): void {
    for (const follower of this.#live)
      if (backwards || follower.at < revision) this.#lose(follower, new Compacted(follower.at, revision));
  }

  close(error: Error): void {
    this.#closed = error;
    for (const follower of [...this.#all]) this.#lose(follower, error);
  }

  async #begin(follower: Follower): Promise<void> {
    const { store, type, clock, log, recent } = this.#source;
    let backoff = firstBackoff;
    while (this.#all.has(follower)) {
      if (this.#closed) return this.#lose(follower, this.#closed);
      if (follower.at >= recent().start) {
        this.#live.add(follower);
        this.#tell(follower, recent().after(follower.at), recent().end);
        return;
      }
      try {
        const { changes, through } = await store.changes(type, follower.at);
        if (through > follower.at) this.#tell(follower, changes, through);
        else await sleep(clock, firstBackoff);
        backoff = firstBackoff;
      } catch (error) {
        if (error instanceof Compacted) return this.#lose(follower, error);
        log.warn("cannot read the log for a follower, will try again", { type, error: messageOf(error) });
        await sleep(clock, backoff);
        backoff = Math.min(backoff * 2, longestBackoff);
      }
    }
  }

  #tell(follower: Follower, changes: Change[], through: number): void {
    if (through <= follower.at || !this.#all.has(follower)) return;
    const { at } = follower;
    const isKnown = (changes[0]?.revision ?? through) <= at;
    follower.at = through;
    try {
      follower.listener(isKnown ? changes.filter((change) => change.revision > at) : changes, through);
    } catch (error) {
      this.#source.log.error("a follower failed to take changes", { type: this.#source.type, error: messageOf(error) });
      this.#lose(follower, error instanceof Error ? error : new Error(messageOf(error)));
    }
  }

  #lose(follower: Follower, error: Error): void {
    if (!this.#end(follower)) return;
    try {
      follower.onLost(error);
    } catch (failure) {
      this.#source.log.error("a follower failed to end", { type: this.#source.type, error: messageOf(failure) });
    }
  }

  #end(follower: Follower): boolean {
    this.#live.delete(follower);
    const isKnown = this.#all.delete(follower);
    // Who reads only for followers must not go on for nobody.
    if (isKnown && this.#all.size === 0) this.#source.poke();
    return isKnown;
  }
}
