import {
  aborted,
  type Clock,
  type Deferred,
  deferred,
  type Log,
  messageOf,
  serviceUnavailable,
  silentLog,
  sleep,
} from "#base";
import { Compacted, FutureRevision } from "./errors.ts";
import { type Follow, Followers } from "./followers.ts";
import { Owners } from "./owners.ts";
import type { Change, Entry, ListOptions, Page, Store } from "./port.ts";
import { Recent } from "./recent.ts";
import { earlierPage, pageOf, rewind } from "./snapshot.ts";
import { Sorted } from "./sorted.ts";

export interface CacheOptions {
  store: Store;
  type: string;
  clock: Clock;
  log?: Log;
  /** How many changes are kept in memory for followers that start in the past. Defaults to 4,096. */
  window?: number;
  /**
   * Whether the log is followed at all times. Otherwise it is read only for `catchUp` and followers, which suits a
   * process that is frozen between requests. Defaults to true.
   */
  live?: boolean;
  /**
   * Oldest acceptable time of the last read of the log's head, in milliseconds since the epoch: `catchUp` uses a head
   * that was read at or after it. Absent: every call reads the head.
   */
  since?: () => number;
}

/** One type in memory, at a revision that rises with the log. Entries and changes are shared, never copied. */
export interface Cache {
  /** The revision of the cache: it holds every change up to it. */
  readonly revision: number;
  get(key: string): Entry | undefined;
  /** A page of the state at the cache's revision. */
  list(options?: Omit<ListOptions, "at">): Page;
  /** A page of the state at an earlier revision; undefined when the window does not reach back so far. */
  listAt(at: number, options?: Omit<ListOptions, "at">): Page | undefined;
  /** The entries that have this uid among their owners. */
  owned(uid: string): Entry[];
  /**
   * Resolves when the cache holds everything that was acknowledged before the call. Rejects with the store's error
   * when that cannot be read now.
   */
  catchUp(): Promise<void>;
  /** Called after a write of this process: the next `catchUp` reads the head. */
  written(): void;
  follow: Follow;
  /** Stops reading. Followers end, and pending calls of `catchUp` reject. */
  close(): void;
}

const firstBackoff = 100;
const longestBackoff = 5000;

interface Waiter extends Deferred<void> {
  head: number;
}

/** Loads a type and begins to follow its log. Rejects when the store cannot list it. */
export async function openCache(options: CacheOptions): Promise<Cache> {
  return new LogCache(options, await options.store.list(options.type));
}

class LogCache implements Cache {
  readonly #options: CacheOptions;
  readonly #log: Log;
  readonly #window: number;
  readonly #isLive: boolean;
  readonly #followers: Followers;
  readonly follow: Follow;
  #entries = new Sorted<Entry>();
  #owners = new Owners();
  #recent: Recent;
  #waiters: Waiter[] = [];
  #wake = new AbortController();
  #closed = false;
  /** The start of the latest read of the head whose result the cache has reached. */
  #headReadAt = Number.NEGATIVE_INFINITY;
  #writes = 0;

  constructor(options: CacheOptions, first: Page) {
    const { store, type, clock, log = silentLog, window = 4096, live = true } = options;
    this.#options = options;
    this.#log = log;
    this.#window = window;
    this.#isLive = live;
    this.#recent = new Recent(window, first.revision);
    const recent = () => this.#recent;
    this.#followers = new Followers({ store, type, clock, log, recent, poke: () => this.#poke() });
    this.follow = this.#followers.follow;
    this.#load(first);
    void this.#run();
  }

  get revision(): number {
    return this.#recent.end;
  }

  get(key: string): Entry | undefined {
    return this.#entries.get(key);
  }

  list(options: Omit<ListOptions, "at"> = {}): Page {
    return pageOf(this.#entries, this.#recent.end, options);
  }

  listAt(at: number, options: Omit<ListOptions, "at"> = {}): Page | undefined {
    if (at < this.#recent.start || at > this.#recent.end) return undefined;
    return earlierPage(this.#entries, rewind(this.#recent.after(at)), at, options);
  }

  owned(uid: string): Entry[] {
    return this.#owners.of(uid);
  }

  async catchUp(): Promise<void> {
    const { store, type, clock, since } = this.#options;
    if (this.#closed) throw ended();
    if (since && this.#headReadAt > since()) return;
    const [readAt, writes] = [clock.now(), this.#writes];
    const head = await store.head(type);
    if (this.#recent.end < head) {
      if (this.#closed) throw ended();
      const waiter = { head, ...deferred<void>() };
      this.#waiters.push(waiter);
      this.#poke();
      await waiter.promise;
    }
    if (this.#writes === writes) this.#headReadAt = Math.max(this.#headReadAt, readAt);
  }

  written(): void {
    this.#writes++;
    this.#headReadAt = Number.NEGATIVE_INFINITY;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#poke();
    this.#fail(ended());
    this.#followers.close(ended());
  }

  #load(page: Page): void {
    // An unchanged entry remains the same object: it is a key of other caches.
    const entries = page.entries.map((entry) => {
      const known = this.#entries.get(entry.key);
      return known?.revision === entry.revision ? known : entry;
    });
    this.#entries = Sorted.of(entries);
    this.#owners = new Owners();
    for (const entry of entries) this.#owners.add(entry);
    const isBackwards = page.revision < this.#recent.end;
    this.#recent = new Recent(this.#window, page.revision);
    this.#followers.restart(page.revision, isBackwards);
  }

  #apply(changes: Change[], through: number): void {
    const shared = changes.map((change) => {
      const current = this.#entries.get(change.key);
      if (current) this.#owners.remove(current);
      if (change.type === "delete") this.#entries.delete(change.key);
      else {
        this.#entries.set(change.entry);
        this.#owners.add(change.entry);
      }
      const isShared = change.previous === current || change.previous?.revision !== current?.revision;
      return isShared || !current ? change : { ...change, previous: current };
    });
    this.#recent.append(shared, through);
    this.#followers.deliver(shared, through);
  }

  /** Resolves the calls of `catchUp` whose head has been reached. */
  #settle(): void {
    if (this.#waiters.length === 0) return;
    const ready = this.#waiters.filter((waiter) => waiter.head <= this.#recent.end);
    this.#waiters = this.#waiters.filter((waiter) => waiter.head > this.#recent.end);
    for (const waiter of ready) waiter.resolve();
  }

  #fail(error: unknown): void {
    const failed = this.#waiters;
    this.#waiters = [];
    for (const waiter of failed) waiter.reject(error);
  }

  /** Ends the pause of the reader. */
  #poke(): void {
    this.#wake.abort();
  }

  async #read(): Promise<void> {
    const { store, type } = this.#options;
    const { end } = this.#recent;
    try {
      const { changes, through } = await store.changes(type, end);
      if (!this.#closed && through > this.#recent.end) this.#apply(changes, through);
    } catch (error) {
      if (!(error instanceof Compacted) && !(error instanceof FutureRevision)) throw error;
      if (this.#closed) return;
      this.#log.info("the log was compacted under the cache: the type is loaded again", { type, revision: end });
      this.#load(await store.list(type));
    }
  }

  async #changed(signal: AbortSignal): Promise<void> {
    const isIdle = !this.#isLive && this.#waiters.length === 0 && this.#followers.size === 0;
    if (isIdle) await aborted(signal);
    else await this.#options.store.changed(this.#options.type, this.#recent.end, signal);
  }

  /** Follows the log until the cache is closed. */
  async #run(): Promise<void> {
    const { type, clock } = this.#options;
    for (let backoff = firstBackoff; !this.#closed; ) {
      if (this.#wake.signal.aborted) this.#wake = new AbortController();
      try {
        await this.#changed(this.#wake.signal);
        if (this.#closed) return;
        await this.#read();
        this.#settle();
        backoff = firstBackoff;
      } catch (error) {
        this.#fail(error);
        const about = { type, error: messageOf(error), milliseconds: backoff };
        this.#log.warn("cannot read the store's log, will try again", about);
        // A wake-up from before the failure has been processed.
        if (this.#wake.signal.aborted) this.#wake = new AbortController();
        await sleep(clock, backoff, this.#wake.signal);
        backoff = Math.min(backoff * 2, longestBackoff);
      }
    }
  }
}

const ended = (): Error => serviceUnavailable("the cache was closed");
