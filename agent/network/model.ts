import { isDeepStrictEqual } from "node:util";
import type { EndpointSlice, Service } from "#api";
import { categorize, type NodeFacts, type UsableEndpoints } from "./categorize.ts";
import { type Endpoint, endpointsOf, serviceOf } from "./endpoints.ts";
import type { Listener, Redirects } from "./redirects.ts";
import { type IpFamily, type ServicePort, servicePortsOf } from "./service-port.ts";

/** One service port with the endpoints that this node uses: what a writer turns into rules. */
export interface ProxyPort extends ServicePort, UsableEndpoints {
  /** Addresses and ports that still answer, whatever the policies: flows to others are stale. */
  serving: readonly string[];
  /** Ready endpoints on this node, by address: what the health check reports. */
  localReady: readonly string[];
}

export interface ModelOptions {
  family: IpFamily;
  redirects?: Redirects | undefined;
}

/** Identity of a service port, as upstream's ServicePortName: its name, and its protocol. */
export const portKey = ({ name, protocol }: ServicePort): string => `${name}/${protocol}`;

/** The service ports of one service on this node. The service's endpoints come from all its slices. */
export function proxyPortsOf(
  service: Service,
  slices: readonly EndpointSlice[],
  node: NodeFacts,
  { family, redirects }: ModelOptions,
): ProxyPort[] {
  return servicePortsOf(service, family).map((port) => {
    const { portName, protocol } = port;
    const listener = redirects?.find(port.service, port.port, protocol);
    const endpoints = listener
      ? [redirected(listener)]
      : endpointsOf({ slices, portName, protocol, family, nodeName: node.name });
    return {
      ...port,
      ...categorize(port, endpoints, node),
      serving: endpoints.filter(({ isServing }) => isServing).map(({ ip, port: number }) => `${ip} ${number}`),
      localReady: [...new Set(endpoints.filter(({ isLocal, isReady }) => isLocal && isReady).map(({ ip }) => ip))],
    };
  });
}

const redirected = ({ address: ip, port }: Listener): Endpoint => ({
  ip,
  port,
  isLocal: true,
  isReady: true,
  isServing: true,
  isTerminating: false,
});

/** A service port that has been added (no `before`), changed, or removed (no `after`). */
export interface PortChange {
  before?: ProxyPort;
  after?: ProxyPort;
}

/** What changed between two lists of service ports. */
export function changesBetween(before: readonly ProxyPort[], after: readonly ProxyPort[]): PortChange[] {
  const left = new Map(before.map((port) => [portKey(port), port]));
  const changes: PortChange[] = [];
  for (const port of after) {
    const earlier = left.get(portKey(port));
    left.delete(portKey(port));
    if (!earlier) changes.push({ after: port });
    else if (!isDeepStrictEqual(earlier, port)) changes.push({ before: earlier, after: port });
  }
  return [...changes, ...[...left.values()].map((port) => ({ before: port }))];
}

/**
 * The service ports of all services, kept up to date by changed objects. Objects are only noted when they change; their
 * ports are computed by `take`, once for any number of changes.
 */
export class ServiceModel {
  readonly #options: ModelOptions;
  #node: NodeFacts;
  readonly #services = new Map<string, Service>();
  readonly #slices = new Map<string, Map<string, EndpointSlice>>();
  /** The service of each slice: a label of a slice may change. */
  readonly #owners = new Map<string, string>();
  readonly #ports = new Map<string, ProxyPort[]>();
  readonly #changed = new Set<string>();

  constructor(node: NodeFacts, options: ModelOptions) {
    this.#node = node;
    this.#options = options;
  }

  /** The current object of a service; undefined: it has been deleted. */
  setService(key: string, service: Service | undefined): void {
    if (service) this.#services.set(key, service);
    else this.#services.delete(key);
    this.#changed.add(key);
  }

  setSlice(slice: EndpointSlice, isDeleted: boolean): void {
    const id = `${slice.metadata.namespace}/${slice.metadata.name}`;
    const key = serviceOf(slice);
    const earlier = this.#owners.get(id);
    if (earlier !== undefined && (isDeleted || earlier !== key)) {
      const own = this.#slices.get(earlier);
      own?.delete(id);
      if (own?.size === 0) this.#slices.delete(earlier);
      this.#owners.delete(id);
      this.#changed.add(earlier);
    }
    if (isDeleted || key === undefined) return;
    const own = this.#slices.get(key) ?? new Map<string, EndpointSlice>();
    this.#slices.set(key, own.set(id, slice));
    this.#owners.set(id, key);
    this.#changed.add(key);
  }

  /** The service's listeners on this node have changed. */
  redirected(key: string): void {
    if (this.#services.has(key)) this.#changed.add(key);
  }

  /** The node's zone: with another one, other endpoints may be near. */
  setNode(node: NodeFacts): void {
    if (isDeepStrictEqual(node, this.#node)) return;
    this.#node = node;
    for (const key of this.#services.keys()) this.#changed.add(key);
  }

  /** What has changed since the last call. */
  take(): PortChange[] {
    const changes: PortChange[] = [];
    for (const key of this.#changed) {
      const service = this.#services.get(key);
      const slices = [...(this.#slices.get(key)?.values() ?? [])];
      const after = service ? proxyPortsOf(service, slices, this.#node, this.#options) : [];
      changes.push(...changesBetween(this.#ports.get(key) ?? [], after));
      if (after.length > 0) this.#ports.set(key, after);
      else this.#ports.delete(key);
    }
    this.#changed.clear();
    return changes;
  }

  /** All service ports as of the last `take`. */
  *ports(): Iterable<ProxyPort> {
    for (const ports of this.#ports.values()) yield* ports;
  }
}
