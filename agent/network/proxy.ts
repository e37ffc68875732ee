import type { EndpointSlice, Service } from "#api";
import { type Clock, type Log, messageOf, sleep } from "#base";
import type { NodeFacts } from "./categorize.ts";
import { ConntrackCleaner } from "./conntrack.ts";
import { HealthChecks } from "./health-checks.ts";
import { type ModelOptions, type PortChange, ServiceModel } from "./model.ts";
import { occupiedPorts } from "./occupied.ts";
import type { RuleWriter } from "./writer.ts";

/** A service or a slice that has been changed or deleted. */
export type ObjectChange =
  | { kind: "Service"; object: Service; isDeleted: boolean }
  | { kind: "EndpointSlice"; object: EndpointSlice; isDeleted: boolean };

/** The cluster's objects, kept up to date: lists, and a listener for later changes. */
export interface ServiceSource {
  services(): Iterable<Service>;
  slices(): Iterable<EndpointSlice>;
  /** Returns a function that ends the calls. */
  follow(listener: (change: ObjectChange) => void): () => void;
}

export interface ServiceProxyOptions extends ModelOptions {
  node: NodeFacts;
  source: ServiceSource;
  writer: RuleWriter;
  clock: Clock;
  log: Log;
  /** Called with what is wrong with a service, for an event of the object: the service as `namespace/name`. */
  warn(service: string, reason: string, message: string): void;
  /** The address of health check ports. Defaults to all of the machine. */
  healthCheckAddress?: string | undefined;
}

/** Milliseconds for which changes are gathered before a sync. */
const gatherMilliseconds = 20;
/** Milliseconds until a failed sync is repeated; doubled up to the longest. */
const firstRetryMilliseconds = 1000;
const longestRetryMilliseconds = 30_000;
/** Rules that another program has changed are replaced this often, as upstream does (FullSyncPeriod). */
const wholeMilliseconds = 3_600_000;

/** Keeps the rules of one node equal to the cluster's services. */
export class ServiceProxy {
  readonly #options: ServiceProxyOptions;
  readonly #model: ServiceModel;
  readonly #conntrack: ConntrackCleaner;
  readonly #healthChecks: HealthChecks;
  readonly #stopping = new AbortController();
  #changed = Promise.withResolvers<void>();
  #unfollow: () => void = () => {};
  #running: Promise<void> | undefined;
  #isHealthy = false;
  /** Changes that the writer has and the rest of a sync does not yet. */
  #unfinished: PortChange[] = [];
  /** When everything is to be written again. */
  #wholeAt = 0;

  constructor(options: ServiceProxyOptions) {
    const { node, log, warn, healthCheckAddress: address } = options;
    this.#options = options;
    this.#model = new ServiceModel(node, options);
    this.#conntrack = new ConntrackCleaner(log);
    this.#healthChecks = new HealthChecks({
      log,
      nodeName: node.name,
      address,
      failed: (service, message) => warn(service, "FailedToStartServiceHealthcheck", message),
      isHealthy: () => this.#isHealthy,
    });
  }

  /** Writes the rules of all services, and follows changes from then on. Rejects if the first rules are refused. */
  async start(): Promise<void> {
    const { source, redirects } = this.#options;
    for (const object of source.services()) this.#note({ kind: "Service", object, isDeleted: false });
    for (const object of source.slices()) this.#note({ kind: "EndpointSlice", object, isDeleted: false });
    const unfollow = source.follow((change) => this.#note(change));
    const unredirect = redirects?.follow((service) => {
      this.#model.redirected(service);
      this.#changed.resolve();
    });
    this.#unfollow = () => {
      unfollow();
      unredirect?.();
    };
    try {
      await this.#sync();
    } catch (error) {
      this.#unfollow();
      throw error;
    }
    this.#wholeAt = this.#options.clock.now() + wholeMilliseconds;
    if (redirects) redirects.isServed = true;
    this.#running = this.#follow();
  }

  /** The node's zone has changed. */
  setNode(node: NodeFacts): void {
    this.#model.setNode(node);
    this.#changed.resolve();
  }

  /** Ends without a change of the rules: connections of containers that run on need them. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#unfollow();
    this.#changed.resolve();
    await this.#running;
    await this.#healthChecks.stop();
    this.#options.writer.stop?.();
  }

  async #reportOccupied(changes: readonly PortChange[]): Promise<void> {
    const { log, node, warn } = this.#options;
    for (const { service, nodePort, protocol } of await occupiedPorts(changes)) {
      const message = `a process of node ${node.name} uses node port ${nodePort}/${protocol}, which now leads to the service`;
      log.warn("a node port is occupied", { service, nodePort, protocol });
      warn(service, "NodePortOccupied", message);
    }
  }

  #note({ kind, object, isDeleted }: ObjectChange): void {
    if (kind === "EndpointSlice") this.#model.setSlice(object, isDeleted);
    else {
      const { namespace, name } = object.metadata;
      this.#model.setService(`${namespace}/${name}`, isDeleted ? undefined : object);
    }
    this.#changed.resolve();
  }

  async #follow(): Promise<void> {
    const { clock, log, writer } = this.#options;
    const { signal } = this.#stopping;
    let retryMilliseconds = firstRetryMilliseconds;
    while (!signal.aborted) {
      const whole = clock.timer(Math.max(0, this.#wholeAt - clock.now()), () => {
        this.#wholeAt = clock.now() + wholeMilliseconds;
        writer.invalidate();
        this.#changed.resolve();
      });
      await this.#changed.promise;
      whole.cancel();
      await sleep(clock, gatherMilliseconds, signal);
      if (signal.aborted) return;
      try {
        await this.#sync();
        retryMilliseconds = firstRetryMilliseconds;
      } catch (error) {
        this.#isHealthy = false;
        log.error("the rules of services could not be written", { error: messageOf(error), retryMilliseconds });
        await sleep(clock, retryMilliseconds, signal);
        retryMilliseconds = Math.min(2 * retryMilliseconds, longestRetryMilliseconds);
        this.#changed.resolve();
      }
    }
  }

  async #sync(): Promise<void> {
    this.#changed = Promise.withResolvers();
    const { clock, log } = this.#options;
    const started = clock.now();
    const changes = this.#model.take();
    this.#unfinished.push(...changes);
    // The writer notes changes whose transaction fails: its next sync has them.
    await this.#options.writer.sync(changes);
    this.#isHealthy = true;
    log.debug("the rules of services are written", { ports: changes.length, milliseconds: clock.now() - started });
    const finished = this.#unfinished;
    this.#unfinished = [];
    await this.#healthChecks.sync(finished);
    await this.#reportOccupied(finished);
    const isUdp = finished.some(({ before, after }) => (after ?? before)?.protocol === "UDP");
    if (isUdp) await this.#conntrack.clean(this.#options.writer.applied?.() ?? this.#model.ports());
  }
}
