import { admissionPlugins } from "#admission";
import { catalog, storageOf } from "#api";
import {
  type ApiServer,
  type AuditSink,
  apiServer,
  createRegistry,
  type Limits,
  type NodeLinks,
  type WatchPlaces,
} from "#apiserver";
import {
  type Authenticator,
  bearerTokens,
  clientCertificates,
  masters,
  nodes,
  openPaths,
  rbac,
  type TokenAuthority,
  union,
  withNodes,
} from "#auth";
import type { Clock, Log, Random } from "#base";
import type { Client } from "#client";
import { type ControllerOptions, controllers } from "#controllers";
import { createRecorder } from "#events";
import { type MetricRegistry, meteredStore, queueMetrics, schedulingMetrics } from "#metrics";
import { type Engine, runControllers } from "#reconcile";
import { type Scheduler, startScheduler } from "#scheduler";
import { type Cache, openCache, type Store } from "#store";
import { bootstrap, lastMade } from "./bootstrap.ts";
import { startCompaction } from "./compaction.ts";
import { type OnDemand, onDemand } from "./on-demand.ts";
import { version } from "./version.ts";

export interface ControlPlaneOptions {
  store: Store;
  clock: Clock;
  random: Random;
  log: Log;
  /** Besides client certificates, which are always understood. */
  authenticators?: readonly Authenticator[];
  /** `open-paths` where each request that reads roles costs something. */
  anonymous?: "everywhere" | "open-paths";
  /** Named checks of /readyz beside the control plane's own; each throws with what is wrong. */
  checks?: Readonly<Record<string, () => void>>;
  /** Makes and checks service accounts' tokens, with the cluster's own client; without it there are none. */
  tokens?: (client: () => Client) => TokenAuthority;
  links?: NodeLinks;
  /** Places for watches, where more than one process hands them out. */
  watchPlaces?: WatchPlaces;
  limits?: Partial<Limits>;
  /** Where requests, the store and the controllers' queues are counted; shown at /metrics. */
  metrics?: MetricRegistry;
  /** Hears of every request but health checks; controllers and the scheduler make none. */
  audit?: AuditSink;
  /** Where cluster IPs come from, such as `10.96.0.0/16`. */
  serviceCidr: string;
  /** Address and port at which pods and people reach the API; told by the `kubernetes` service. */
  endpoint?: { address: string; port: number };
  /** The certificate authority, in PEM, as pods get it in kube-root-ca.crt. */
  ca: string;
  /**
   * How reads are served: `live` from types kept in memory, for a process that lives long; `on-demand` from types kept
   * between requests and caught up with the log at each; `none` from the store.
   */
  caching: "live" | "on-demand" | "none";
  /**
   * With `on-demand`: when that began for which things are read now, in milliseconds since the epoch. What was looked
   * at since then, and not written by this process, is not looked at again. Absent: every read looks.
   */
  since?: () => number;
  /** How it is known that nodes live, where they do not renew a Lease through the API. */
  nodes?: ControllerOptions["nodes"];
  /** The block of which each node gets a part, where nodes do not say themselves which addresses they have. */
  podCidr?: string;
  /** What gives services load balancers, and pods of different nodes routes; without, services wait for theirs. */
  cloud?: ControllerOptions["cloud"];
}

export interface ControlPlane {
  server: ApiServer;
  /** The API as the control plane itself uses it. */
  client: Client;
  /** Makes what every cluster has. Safe to run again. */
  bootstrap(): Promise<void>;
  /** Controllers and scheduler for a host that wakes them itself; instead of `start`. Made at the first call. */
  onDemand(): OnDemand;
  /** The storage types of all kinds. */
  readonly types: readonly string[];
  /** Makes what every cluster has, then starts controllers and scheduler. Resolves when they have seen everything once. */
  start(): Promise<void>;
  /** Keys that controllers wait for or work on, pods that the scheduler has at hand. */
  readonly busy: number;
  stop(): Promise<void>;
}

const nodePorts = { first: 30_000, last: 32_767 };
const component = (name: string) => ({ name: `system:${name}`, groups: ["system:masters"] });

/** The store, with somebody who hears of the types that this process writes. */
const noticed = (store: Store, written: (type: string) => Promise<void>): Store => ({
  get: (type, key) => store.get(type, key),
  head: (type) => store.head(type),
  list: (type, request) => store.list(type, request),
  async commit(type, writes) {
    try {
      return await store.commit(type, writes);
    } finally {
      await written(type);
    }
  },
  changes: (type, after, limit) => store.changes(type, after, limit),
  changed: (type, after, signal) => store.changed(type, after, signal),
  compact: (type, before) => store.compact(type, before),
  close: () => store.close(),
});

/** Assembles a control plane. Nothing runs before `start`. */
export function controlPlane(options: ControlPlaneOptions): ControlPlane {
  const { clock, random, log, metrics } = options;
  const store = metrics ? meteredStore(options.store, metrics, clock) : options.store;
  const registry = createRegistry(catalog);
  const caches = new Map<string, Promise<Cache>>();
  const cache = (type: string): Promise<Cache> => {
    const isLive = options.caching === "live";
    const since = isLive || !options.since ? {} : { since: options.since };
    const open = caches.get(type) ?? openCache({ store, type, clock, log, live: isLive, ...since });
    caches.set(type, open);
    return open;
  };
  const noticing =
    options.caching === "on-demand" ? noticed(store, async (type) => (await caches.get(type))?.written()) : store;
  let ready = false;
  const live = options.caching === "live";
  const roles = rbac({
    client: () => client,
    clock,
    // Looking at a log that is kept in memory costs nothing; elsewhere what was known five seconds ago will do.
    maxAge: live ? 0 : 5000,
    async revision(kind) {
      const type = storageOf(kind);
      if (!live) return store.head(type);
      const kept = await cache(type);
      await kept.catchUp();
      return kept.revision;
    },
  });
  const tokens = options.tokens?.(() => client);
  const server: ApiServer = apiServer({
    store: noticing,
    registry,
    clock,
    random,
    log,
    version,
    authenticators: [
      clientCertificates,
      ...(options.authenticators ?? []),
      ...(tokens ? [bearerTokens(tokens, log)] : []),
    ],
    ...(options.anonymous ? { anonymous: options.anonymous } : {}),
    authorize: union(
      masters,
      openPaths,
      nodes(() => client),
      roles.authorize,
    ),
    rules: withNodes(roles.rules),
    admission: admissionPlugins({ nodePorts, ca: options.ca }),
    checks: {
      bootstrap: async () => {
        // Another process may have done it: then the last that it makes is there.
        ready ||= (await store.get(lastMade.type, lastMade.key)) !== undefined;
        if (!ready) throw new Error("not finished");
      },
      ...options.checks,
    },
    ...(tokens ? { tokens } : {}),
    ...(options.caching === "none" ? {} : { cache }),
    ...(options.links ? { links: options.links } : {}),
    ...(options.watchPlaces ? { watchPlaces: options.watchPlaces } : {}),
    ...(options.limits ? { limits: options.limits } : {}),
    ...(options.audit ? { audit: options.audit } : {}),
    ...(metrics ? { metrics } : {}),
  });
  const client = server.client(component("apiserver"));
  const managing = server.client(component("kube-controller-manager"));
  const scheduling = server.client(component("kube-scheduler"));
  const told: ControllerOptions = {
    ca: options.ca,
    ...(options.nodes ? { nodes: options.nodes } : {}),
    ...(options.podCidr === undefined ? {} : { podCidr: options.podCidr }),
    ...(options.cloud ? { cloud: options.cloud } : {}),
  };
  // Questions are answered and never kept: they have no log.
  const kept = registry.resources.filter(({ kind }) => !kind.answer);
  const types = [...new Set(kept.map(({ type }) => type))];
  const prepare = async (): Promise<void> => {
    const { serviceCidr, endpoint } = options;
    await bootstrap({ client, clock, serviceCidr, ...(endpoint ? { endpoint } : {}) });
    ready = true;
  };
  let demand: OnDemand | undefined;
  let engine: Engine | undefined;
  let stopCompaction: (() => void) | undefined;
  let scheduler: Scheduler | undefined;
  const recorderFor = (user: Client, name: string) => createRecorder({ client: user, clock, log, component: name });
  return {
    server,
    client,
    types,
    bootstrap: prepare,
    onDemand: () => {
      demand ??= onDemand({ server, registry, managing, scheduling, clock, random, log, controllers: told });
      return demand;
    },
    async start() {
      await prepare();
      engine = runControllers(controllers(told), {
        client: managing,
        clock,
        random,
        log,
        record: recorderFor(managing, "controller-manager"),
        ...(metrics ? { metrics: queueMetrics(metrics, clock) } : {}),
      });
      const record = recorderFor(scheduling, "default-scheduler");
      scheduler = startScheduler({
        client: scheduling,
        clock,
        random,
        log,
        record,
        ...(metrics ? { metrics: schedulingMetrics(metrics) } : {}),
      });
      // A host that lives long keeps the logs short; elsewhere the clock's tick does.
      if (options.caching === "live") {
        stopCompaction = startCompaction({ store, types, clock, log });
      }
      await Promise.all([engine.ready, scheduler.ready]);
    },
    get busy() {
      return (engine?.busy ?? 0) + (scheduler?.busy ?? 0);
    },
    async stop() {
      stopCompaction?.();
      await Promise.all([engine?.stop(), scheduler?.stop()]);
      for (const open of caches.values()) (await open).close();
    },
  };
}
