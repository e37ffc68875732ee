import { admissionPlugins } from "#admission";
import { catalog, storageOf } from "#api";
import { ApiServer, type AuditSink, type Limits, type NodeLinks, type WatchPlaces } from "#apiserver";
import {
  type Authenticator,
  bearerTokens,
  bootstrapTokens,
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
import { Registry, Resources } from "#resources";
import { type Scheduler, startScheduler } from "#scheduler";
import type { Store } from "#store";
import { bootstrap, lastMade } from "./bootstrap.ts";
import { Caches } from "./caches.ts";
import { startCompaction } from "./compaction.ts";
import { OnDemand } from "./on-demand.ts";
import { version } from "./version.ts";

export interface ControlPlaneOptions {
  store: Store;
  clock: Clock;
  random: Random;
  log: Log;
  /** Authenticators besides client certificates, which read objects with the cluster's own client. */
  authenticators?: (client: Client) => readonly Authenticator[];
  /** `open-paths` where a request that reads roles has a cost. */
  anonymous?: "everywhere" | "open-paths";
  /** Named checks of /readyz beside the control plane's own; each throws with what is wrong. */
  checks?: Readonly<Record<string, () => void>>;
  /** Authenticates bootstrap tokens: for clusters that machines may join. */
  bootstrapTokens?: boolean;
  /** Issues and reviews service account tokens. Defaults to none. */
  tokens?: (client: Client) => TokenAuthority;
  /** The connections to nodes. Defaults to none. */
  links?: (client: Client) => NodeLinks;
  /** Slots for watches, where several processes share them. */
  watchPlaces?: WatchPlaces;
  limits?: Partial<Limits>;
  /** The metrics of requests, the store and the controllers' queues, served at /metrics. */
  metrics?: MetricRegistry;
  /** Receives an event for every request but health checks. Controllers and the scheduler send no requests. */
  audit?: AuditSink;
  /** The block of cluster IPs, such as `10.96.0.0/16`. */
  serviceCidr: string;
  /** Address and port at which pods and clients reach the API, as the `kubernetes` service has them. */
  endpoint?: { address: string; port: number };
  /** The certificate authority in PEM, for kube-root-ca.crt in pods; or what reads it from the cluster. */
  ca: string | ((client: Client) => Promise<string>);
  /**
   * How reads are served: `live` from types in memory that follow the log, for a long-lived process; `on-demand` from
   * types in memory that catch up with the log at each request; `none` from the store.
   */
  caching: "live" | "on-demand" | "none";
  /**
   * With `on-demand`: the oldest acceptable time of a read of a log's head, in milliseconds since the epoch. Heads that
   * were read since then, and not written by this process, are not read again. Absent: every read reads the head.
   */
  since?: () => number;
  /** The heartbeats of nodes that do not renew a Lease through the API. */
  nodes?: ControllerOptions["nodes"];
  /** The block of which each node gets a part, where nodes do not choose their addresses themselves. */
  podCidr?: string;
  /** Provides load balancers of services and routes between nodes; without it services wait for a load balancer. */
  cloud?: ControllerOptions["cloud"];
  /** Issues certificates for approved requests; without it, requests for Kubernetes' own signers fail. */
  sign?: ControllerOptions["sign"];
  /** Issues the certificates by which nodes serve the API inside pods, where nodes do so. */
  signApiServing?: ControllerOptions["signApiServing"];
}

const nodePorts = { first: 30_000, last: 32_767 };
const component = (name: string) => ({ name: `system:${name}`, groups: ["system:masters"] });

/** Assembles a control plane of ports. Nothing runs before `start`. */
export class ControlPlane {
  readonly #options: ControlPlaneOptions;
  readonly #store: Store;
  readonly #caches: Caches;
  readonly #clients: Record<"managing" | "scheduling", Client>;
  #bootstrapped = false;
  #onDemand: OnDemand | undefined;
  #engine: Engine | undefined;
  #scheduler: Scheduler | undefined;
  #stopCompaction: (() => void) | undefined;
  /** The kinds that the cluster serves, and their objects. */
  readonly resources: Resources;
  readonly server: ApiServer;
  /** The API as the control plane itself uses it. */
  readonly client: Client;

  constructor(options: ControlPlaneOptions) {
    this.#options = options;
    const { clock, random, log, metrics, caching } = options;
    this.#store = metrics ? meteredStore(options.store, metrics, clock) : options.store;
    const registry = new Registry(catalog);
    this.#caches = new Caches({
      store: this.#store,
      registry,
      clock,
      log,
      live: caching === "live",
      since: options.since,
    });
    this.resources = new Resources({
      store: caching === "on-demand" ? this.#caches.notified() : this.#store,
      registry,
      clock,
      random,
      log,
      admission: admissionPlugins({ nodePorts, ca: this.#ca }),
      cache: caching === "none" ? undefined : (type) => this.#caches.open(type),
      metrics,
    });
    this.server = this.#apiServer();
    this.client = this.server.client(component("apiserver"));
    this.#clients = {
      managing: this.server.client(component("kube-controller-manager")),
      scheduling: this.server.client(component("kube-scheduler")),
    };
  }

  readonly #ca = async (): Promise<string> => {
    const { ca } = this.#options;
    return typeof ca === "string" ? ca : ca(this.client);
  };

  #apiServer(): ApiServer {
    const options = this.#options;
    // What authenticates and authorizes reads objects itself, with no more rights than that takes.
    const reader = this.resources.client(component("apiserver"));
    const roles = rbac({
      client: reader,
      clock: options.clock,
      // The head of a log in memory costs nothing; elsewhere roles may be five seconds old.
      maxAge: options.caching === "live" ? 0 : 5000,
      revision: (kind) => this.#caches.revision(storageOf(kind)),
    });
    const tokens = options.tokens?.(reader);
    return new ApiServer({
      resources: this.resources,
      version,
      authenticators: [
        clientCertificates,
        ...(options.authenticators?.(reader) ?? []),
        ...(tokens ? [bearerTokens(tokens, options.log)] : []),
        ...(options.bootstrapTokens ? [bootstrapTokens({ ...options, client: reader })] : []),
      ],
      anonymous: options.anonymous,
      authorize: union(masters, openPaths, nodes(reader), roles.authorize),
      rules: withNodes(roles.rules),
      tokens,
      checks: { bootstrap: () => this.#checkBootstrap(), ...options.checks },
      links: options.links?.(reader),
      watchPlaces: options.watchPlaces,
      limits: options.limits,
      audit: options.audit,
      metrics: options.metrics,
    });
  }

  /** Another process may have bootstrapped the cluster: then the last object of that exists. */
  async #checkBootstrap(): Promise<void> {
    this.#bootstrapped ||= (await this.#store.get(lastMade.type, lastMade.key)) !== undefined;
    if (!this.#bootstrapped) throw new Error("not finished");
  }

  /** Creates the objects that every cluster has. Safe to run again. */
  async bootstrap(): Promise<void> {
    const { clock, serviceCidr, endpoint } = this.#options;
    await bootstrap({ client: this.client, clock, serviceCidr, ...(endpoint ? { endpoint } : {}) });
    this.#bootstrapped = true;
  }

  get #controllerOptions(): ControllerOptions {
    const { nodes: heartbeats, podCidr, cloud, sign, signApiServing } = this.#options;
    return {
      ca: this.#ca,
      ...(heartbeats ? { nodes: heartbeats } : {}),
      ...(podCidr === undefined ? {} : { podCidr }),
      ...(cloud ? { cloud } : {}),
      ...(sign ? { sign } : {}),
      ...(signApiServing ? { signApiServing } : {}),
    };
  }

  /** Controllers and scheduler for a host that wakes them itself; instead of `start`. */
  onDemand(): OnDemand {
    const { clock, random, log } = this.#options;
    const shared = { resources: this.resources, ...this.#clients, clock, random, log };
    this.#onDemand ??= new OnDemand({ ...shared, controllers: this.#controllerOptions });
    return this.#onDemand;
  }

  /** Bootstraps the cluster, then starts controllers and scheduler. Resolves when they have seen every object once. */
  async start(): Promise<void> {
    await this.bootstrap();
    const { clock, random, log, metrics } = this.#options;
    const { managing, scheduling } = this.#clients;
    const recorder = (client: Client, name: string) => createRecorder({ client, clock, log, component: name });
    this.#engine = runControllers(controllers(this.#controllerOptions), {
      client: managing,
      served: this.resources.registry,
      clock,
      random,
      log,
      record: recorder(managing, "controller-manager"),
      ...(metrics ? { metrics: queueMetrics(metrics, clock) } : {}),
    });
    this.#scheduler = startScheduler({
      client: scheduling,
      clock,
      random,
      log,
      record: recorder(scheduling, "default-scheduler"),
      ...(metrics ? { metrics: schedulingMetrics(metrics) } : {}),
    });
    // A process that lives long compacts the logs; elsewhere `tick` does.
    if (this.#options.caching === "live") {
      const { registry } = this.resources;
      this.#stopCompaction = startCompaction({ store: this.#store, types: () => registry.types, clock, log });
    }
    await Promise.all([this.#engine.ready, this.#scheduler.ready]);
  }

  /** Keys that controllers wait for or process, and pods that the scheduler has in hand. */
  get busy(): number {
    return (this.#engine?.busy ?? 0) + (this.#scheduler?.busy ?? 0);
  }

  async stop(): Promise<void> {
    this.#stopCompaction?.();
    await Promise.all([this.#engine?.stop(), this.#scheduler?.stop()]);
    await this.#caches.close();
  }
}
