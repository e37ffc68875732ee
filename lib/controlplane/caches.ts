import type { Clock, Log } from "#base";
import type { Registry } from "#resources";
import { type Cache, forwardTo, openCache, type Store } from "#store";

export interface CachesOptions {
  store: Store;
  registry: Registry;
  clock: Clock;
  log: Log;
  /** Each cache follows its log at all times. Otherwise it catches up when it is read. */
  live: boolean;
  /** The oldest acceptable time of a read, in milliseconds since the epoch; for caches that are not live. */
  since?: (() => number) | undefined;
}

/** The caches of storage types, opened on first use. The cache of a type that no registered kind owns any more is closed. */
export class Caches {
  readonly #options: CachesOptions;
  readonly #caches = new Map<string, Promise<Cache>>();

  constructor(options: CachesOptions) {
    this.#options = options;
    options.registry.onChange(({ removed }) => {
      for (const { type } of removed) if (!options.registry.ofStorage(type)) void this.#close(type);
    });
  }

  open(type: string): Promise<Cache> {
    const { store, clock, log, live, since } = this.#options;
    const known = this.#caches.get(type);
    if (known) return known;
    const cache = openCache({ store, type, clock, log, live, ...(live || !since ? {} : { since }) });
    this.#caches.set(type, cache);
    return cache;
  }

  /** The head of a type's log: from its cache where caches are live, from the store otherwise. */
  async revision(type: string): Promise<number> {
    if (!this.#options.live) return this.#options.store.head(type);
    const cache = await this.open(type);
    await cache.catchUp();
    return cache.revision;
  }

  /** The store, with writes that the cache of their type learns of at once. */
  notified(): Store {
    const { store } = this.#options;
    return {
      ...forwardTo(store),
      commit: async (type, writes) => {
        try {
          return await store.commit(type, writes);
        } finally {
          await (await this.#caches.get(type))?.written();
        }
      },
    };
  }

  async #close(type: string): Promise<void> {
    const cache = this.#caches.get(type);
    this.#caches.delete(type);
    (await cache)?.close();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#caches.keys()].map((type) => this.#close(type)));
  }
}
