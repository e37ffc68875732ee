import { type Clock, type Deferred, deferred, type Log, messageOf, serviceUnavailable, silentLog, sleep } from "#base";
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
  /** How many changes are kept for followers who start in the past; 4,096 unless told. */
  window?: number;
  /**
   * Whether the log is followed all the time. Without it, it is read only while somebody catches up or follows,
   * which suits a process that is frozen between requests.
   */
  live?: boolean;
  /**
   * From when on a look at the log's head is good enough for `catchUp`, in milliseconds since the epoch: what somebody
   * does who began then may rest on it. Absent: each call looks.
   */
  since?: () => number;
}

/** One type, held in memory at a revision that rises with the log. Entries and changes are shared, never copied. */
export interface Cache {
  /** How far it is: everything at or below has been seen. */
  readonly revision: number;
  get(key: string): Entry | undefined;
  /** A page of the state at the cache's revision. */
  list(options?: Omit<ListOptions, "at">): Page;
  /** A page of the state at an earlier revision; undefined when the window does not reach back so far. */
  listAt(at: number, options?: Omit<ListOptions, "at">): Page | undefined;
  /** The entries that name this uid among their owners. */
  owned(uid: string): Entry[];
  /**
   * Resolves when the cache holds everything that was acknowledged before the call. Rejects with the store's error
   * when that cannot be read now.
   */
  catchUp(): Promise<void>;
  /** This process has written: the next `catchUp` looks at the head, whenever the last one did. */
  written(): void;
  follow: Follow;
  /** Stops reading; followers are told that they have lost the log, waits for catchUp reject. */
  close(): void;
}

const firstBackoff = 100;
const longestBackoff = 5000;

interface Waiter extends Deferred<void> {
  head: number;
}

/** Loads the type and begins to follow its log. Rejects when the store cannot list it. */
export async function openCache(options: CacheOptions): Promise<Cache> {
  const { store, type, clock, log = silentLog, window = 4096, live = true } = options;
  const first = await store.list(type);
  let entries = new Sorted<Entry>();
  let owners = new Owners();
  let recent = new Recent(window, first.revision);
  let waiters: Waiter[] = [];
  let wake = new AbortController();
  let closed = false;
  /** When the last look at the head began that the cache has caught up with. */
  let lookedAt = Number.NEGATIVE_INFINITY;
  let writes = 0;

  const load = (page: Page): void => {
    const known = entries;
    // An entry that has not changed stays the same object, for those who keep something by it.
    const kept = page.entries.map((entry) => {
      const old = known.get(entry.key);
      return old?.revision === entry.revision ? old : entry;
    });
    entries = Sorted.of(kept);
    owners = new Owners();
    for (const entry of kept) owners.add(entry);
    const backwards = page.revision < recent.end;
    recent = new Recent(window, page.revision);
    followers.restart(page.revision, backwards);
  };

  const apply = (changes: Change[], through: number): void => {
    const shared = changes.map((change) => {
      const current = entries.get(change.key);
      if (current) owners.remove(current);
      if (change.type === "delete") entries.delete(change.key);
      else {
        entries.set(change.entry);
        owners.add(change.entry);
      }
      const isShared = change.previous === current || change.previous?.revision !== current?.revision;
      return isShared || !current ? change : { ...change, previous: current };
    });
    recent.append(shared, through);
    followers.deliver(shared, through);
  };

  const settle = (): void => {
    if (waiters.length === 0) return;
    const ready = waiters.filter((waiter) => waiter.head <= recent.end);
    waiters = waiters.filter((waiter) => waiter.head > recent.end);
    for (const waiter of ready) waiter.resolve();
  };

  const fail = (error: unknown): void => {
    const failed = waiters;
    waiters = [];
    for (const waiter of failed) waiter.reject(error);
  };

  /** Ends whatever the reader waits for. */
  const poke = (): void => wake.abort();

  const reload = async (): Promise<void> => {
    log.info("the log was compacted under the cache: loading the type anew", { type, revision: recent.end });
    load(await store.list(type));
  };

  const read = async (): Promise<void> => {
    try {
      const { changes, through } = await store.changes(type, recent.end);
      if (!closed && through > recent.end) apply(changes, through);
    } catch (error) {
      if (!(error instanceof Compacted) && !(error instanceof FutureRevision)) throw error;
      if (!closed) await reload();
    }
  };

  const run = async (): Promise<void> => {
    for (let backoff = firstBackoff; !closed; ) {
      if (wake.signal.aborted) wake = new AbortController();
      const { signal } = wake;
      try {
        if (!live && waiters.length === 0 && followers.size === 0) await aborted(signal);
        else await store.changed(type, recent.end, signal);
        if (closed) return;
        await read();
        settle();
        backoff = firstBackoff;
      } catch (error) {
        fail(error);
        log.warn("cannot read the store's log, will try again", {
          type,
          error: messageOf(error),
          milliseconds: backoff,
        });
        // A poke from before the failure has had its try.
        if (wake.signal.aborted) wake = new AbortController();
        await sleep(clock, backoff, wake.signal);
        backoff = Math.min(backoff * 2, longestBackoff);
      }
    }
  };

  const followers = new Followers({ store, type, clock, log, recent: () => recent, poke });
  load(first);
  void run();

  return {
    get revision() {
      return recent.end;
    },
    get: (key) => entries.get(key),
    list: (options = {}) => pageOf(entries, recent.end, options),
    listAt: (at, options = {}) => {
      if (at < recent.start || at > recent.end) return undefined;
      return earlierPage(entries, rewind(recent.after(at)), at, options);
    },
    owned: (uid) => owners.of(uid),
    catchUp: async () => {
      if (closed) throw ended();
      if (options.since && lookedAt > options.since()) return;
      const [looking, before] = [clock.now(), writes];
      const head = await store.head(type);
      if (recent.end < head) {
        if (closed) throw ended();
        const waiter = { head, ...deferred<void>() };
        waiters.push(waiter);
        poke();
        await waiter.promise;
      }
      if (writes === before) lookedAt = Math.max(lookedAt, looking);
    },
    written: () => {
      writes++;
      lookedAt = Number.NEGATIVE_INFINITY;
    },
    follow: followers.follow,
    close: () => {
      if (closed) return;
      closed = true;
      poke();
      fail(ended());
      followers.close(ended());
    },
  };
}

const ended = (): Error => serviceUnavailable("the cache was closed");

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
