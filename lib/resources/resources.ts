import type { Plugin } from "#admission";
import type { Access, Kind, KubernetesObject, User } from "#api/meta";
import { noAccess } from "#api/meta";
import type { Clock, Log, Random } from "#base";
import type { Client, WatchEvent } from "#client";
import type { MetricRegistry } from "#metrics";
import type { Cache, Change, Entry, Page, Store } from "#store";
import { Faults } from "./faults.ts";
import { eventOf, localClient } from "./local-client.ts";
import type { Registry } from "./registry.ts";

export interface ResourcesOptions {
  store: Store;
  registry: Registry;
  clock: Clock;
  random: Random;
  log: Log;
  /** In the order in which they run. */
  admission: readonly Plugin[];
  /** The warm cache of a storage type. Without one the store is read. */
  cache?: ((type: string) => Promise<Cache> | undefined) | undefined;
  /** Where failures of the server's own code on single objects are counted. */
  metrics?: MetricRegistry | undefined;
}

/** The user of admission plugins. */
const self: User = { name: "system:apiserver", groups: ["system:masters"] };

/**
 * The resource service: objects of registered kinds over a store, for users, with defaults, admission and validation.
 * It knows no HTTP. The API server answers requests with it, and the control plane's own components use it through
 * `client`.
 */
export class Resources {
  readonly store: Store;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly admission: readonly Plugin[];
  readonly cache: (type: string) => Promise<Cache> | undefined;
  readonly faults: Faults;
  /** The client of admission plugins. */
  readonly admissionClient: Client;

  constructor({ store, registry, clock, random, log, admission, cache, metrics }: ResourcesOptions) {
    this.store = store;
    this.registry = registry;
    this.clock = clock;
    this.random = random;
    this.log = log;
    this.admission = admission;
    this.cache = cache ?? (() => undefined);
    this.faults = new Faults(log, metrics);
    this.admissionClient = this.client(self);
  }

  /**
   * The client port in process: with defaults, admission and validation, without authorization. Hooks of kinds that
   * ask about rights or tokens use `access`; it grants nothing by default.
   */
  client(user: User, access: Access = noAccess): Client {
    return localClient(this, user, access);
  }

  /** A change of a kind's storage as a watch event of the kind. */
  event(kind: Kind, change: Change): Exclude<WatchEvent<KubernetesObject>, { type: "BOOKMARK" }> {
    return eventOf(this, kind, change);
  }

  /** Reads the current entry of a key: from the warm cache where there is one, from the store otherwise. */
  async read(type: string, key: string): Promise<Entry | undefined> {
    const cache = await this.cache(type);
    if (!cache) return this.store.get(type, key);
    await cache.catchUp();
    return cache.get(key);
  }

  /** A snapshot that holds everything acknowledged before the call. */
  async page(type: string, options: { prefix?: string; after?: string; limit?: number } = {}): Promise<Page> {
    const cache = await this.cache(type);
    if (!cache) return this.store.list(type, options);
    await cache.catchUp();
    return cache.list(options);
  }
}
