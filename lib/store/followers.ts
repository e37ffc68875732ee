import { type Clock, type Log, messageOf, sleep } from "#base";
import { Compacted } from "./errors.ts";
import { type LogPage, LogPages, pageAt } from "./log-pages.ts";
import type { Change, Store } from "./port.ts";
import type { Recent } from "./recent.ts";

/**
 * Receives a page of changes in order, and the revision up to which the log has been delivered; it must return at once.
 * A listener that needs a pause returns a promise, which never rejects: the next page is read and delivered once it
 * resolves, and later changes stay in the log meanwhile.
 */
export type Listener = (changes: Change[], through: number) => Promise<void> | void;

/**
 * Delivers every change above `after`, in order and once; none before the call returns. `after` may be ahead of the
 * cache: then only changes above it are delivered. `onLost` is the last call: with Compacted when changes above the
 * follower's position are gone, or with the error for which the cache was closed. Returns the function that ends it
 * without a call.
 */
export type Follow = (after: number, listener: Listener, onLost: (error: Error) => void) => () => void;

interface Follower {
  /** Delivered up to here. */
  at: number;
  listener: Listener;
  onLost: (error: Error) => void;
  /** The pause before the next read of the log, in milliseconds. */
  backoff: number;
}

interface Source {
  store: Store;
  type: string;
  clock: Clock;
  log: Log;
  recent(): Recent;
  /** Wakes the reader of the log, which may be idle without followers. */
  poke(): void;
}

const firstBackoff = 100;
const longestBackoff = 5000;

/** The followers of one cache. One read of the log serves them all. */
export class Followers {
  readonly #source: Source;
  /** All active followers, and those among them that are at the end of the window. */
  readonly #all = new Set<Follower>();
  readonly #live = new Set<Follower>();
  readonly #pages: LogPages;
  /** How many followers are catching up. */
  #behind = 0;
  #closed: Error | undefined;

  constructor(source: Source) {
    this.#source = source;
    this.#pages = new LogPages(source.store, source.type);
  }

  get size(): number {
    return this.#all.size;
  }

  readonly follow: Follow = (after, listener, onLost) => {
    const follower: Follower = { at: after, listener, onLost, backoff: firstBackoff };
    this.#all.add(follower);
    if (this.#all.size === 1) this.#source.poke();
    queueMicrotask(() => void this.#catchUp(follower));
    return () => this.#end(follower);
  };

  /** Delivers the changes that the reader has just added to the window. */
  deliver(changes: Change[], through: number): void {
    let next = 0;
    do {
      const page = pageAt(changes, next, through);
      next += page.changes.length;
      for (const follower of this.#live) {
        const room = this.#tell(follower, page.changes, page.through);
        if (!room) continue;
        // It continues from the window, or from the log after a long pause.
        this.#live.delete(follower);
        void this.#catchUp(follower, room);
      }
    } while (next < changes.length);
  }

  /**
   * Restarts the window at `revision`. A follower that waits at an earlier revision has lost the changes between. One
   * that is catching up continues from the log, unless that has gone backwards.
   */
  restart(revision: number, backwards: boolean): void {
    this.#pages.clear();
    for (const follower of backwards ? [...this.#all] : this.#live)
      if (backwards || follower.at < revision) this.#lose(follower, new Compacted(follower.at, revision));
  }

  close(error: Error): void {
    this.#closed = error;
    for (const follower of [...this.#all]) this.#lose(follower, error);
  }

  /** Delivers pages to a follower, as fast as it accepts them, until it is at the end of the window. */
  async #catchUp(follower: Follower, room?: Promise<void>): Promise<void> {
    this.#behind++;
    try {
      if (room) await room;
      while (this.#all.has(follower)) {
        if (this.#closed) return this.#lose(follower, this.#closed);
        const taken = follower.at >= this.#source.recent().start ? this.#fromWindow(follower) : this.#fromLog(follower);
        if (taken) await taken;
        else if (this.#live.has(follower)) return;
      }
    } catch (error) {
      this.#lose(follower, error instanceof Error ? error : new Error(messageOf(error)));
    } finally {
      this.#behind--;
      if (this.#behind === 0) this.#pages.clear();
    }
  }

  #fromWindow(follower: Follower): Promise<void> | undefined {
    const recent = this.#source.recent();
    const { changes, through } = recent.page(follower.at);
    const room = this.#tell(follower, changes, through);
    if (!room && follower.at >= recent.end && this.#all.has(follower)) this.#live.add(follower);
    return room;
  }

  /** Reads one page of the log; pauses before the next attempt when that fails. */
  async #fromLog(follower: Follower): Promise<void> {
    const { type, clock, log } = this.#source;
    let page: LogPage;
    try {
      page = await this.#pages.read(follower.at);
      follower.backoff = firstBackoff;
    } catch (error) {
      if (error instanceof Compacted) return this.#lose(follower, error);
      log.warn("cannot read the log for a follower, will try again", { type, error: messageOf(error) });
      await sleep(clock, follower.backoff);
      follower.backoff = Math.min(follower.backoff * 2, longestBackoff);
      return;
    }
    if (page.through <= follower.at) await sleep(clock, firstBackoff);
    else await this.#tell(follower, page.changes, page.through);
  }

  /** The follower accepts no more before this promise resolves. */
  #tell(follower: Follower, changes: Change[], through: number): Promise<void> | undefined {
    if (through <= follower.at || !this.#all.has(follower)) return undefined;
    const { at } = follower;
    const isKnown = (changes[0]?.revision ?? through) <= at;
    follower.at = through;
    try {
      const news = isKnown ? changes.filter((change) => change.revision > at) : changes;
      return follower.listener(news, through) ?? undefined;
    } catch (error) {
      this.#source.log.error("a follower failed to take changes", { type: this.#source.type, error: messageOf(error) });
      this.#lose(follower, error instanceof Error ? error : new Error(messageOf(error)));
      return undefined;
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
    // Without followers the reads stop.
    if (isKnown && this.#all.size === 0) this.#source.poke();
    return isKnown;
  }
}
