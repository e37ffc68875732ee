/**
 * A cloud, as far as a cluster needs one. Everything may be asked again at any time and from any half-made state: after
 * a death in the middle, the same call finishes what was begun. What is made carries marks of the cluster, by which it
 * is recognised; what does not carry them is neither changed nor removed, whatever it is called.
 *
 * Rejects with RetryAfter when the cloud is busy or something is still in use, with Refused when the cloud will never
 * do what is asked, and with any other error when something failed.
 */
export interface Cloud {
  /** Makes a service's load balancer as it is wanted. Does not wait until it can be used: `state` tells. */
  ensureLoadBalancer(wanted: LoadBalancer): Promise<Balanced>;
  /** Removes everything of a service's load balancer. `going`: not all of it is gone yet; ask again. */
  removeLoadBalancer(uid: string): Promise<"gone" | "going">;
  /** The services for which this cluster has anything, a half-made or half-removed load balancer included. */
  loadBalancers(): Promise<Balancing[]>;
  /** Those of the nodes that are running instances of this cluster. */
  instances(nodes: readonly string[]): Promise<Instance[]>;
  /** The routes to pods, within the cluster's pod addresses; undefined where routes are somebody else's to make. */
  routes(): Promise<Route[] | undefined>;
  /** Makes packets to a block go to a node, and the node take packets that are not for itself. */
  ensureRoute(route: Pick<Route, "block" | "node">): Promise<void>;
  /** Removes a route; one that is not there is no error, and one to another node stays. */
  removeRoute(route: Pick<Route, "block" | "node">): Promise<void>;
}

/** The service that a load balancer is for. */
export interface Balancing {
  uid: string;
  namespace: string;
  name: string;
}

export interface LoadBalancer {
  service: Balancing;
  ports: readonly BalancedPort[];
  /** Names of the nodes that take traffic. */
  nodes: readonly string[];
  /** Blocks of IPv4 addresses that may come in. */
  sourceRanges: readonly string[];
  /** Where nodes tell over HTTP at /healthz whether they take traffic; otherwise its own port is looked at. */
  healthPort?: number;
  /** Whether a client stays with its node. */
  affinity: boolean;
  /** The address that the service asks for. */
  address?: string;
  /** What the service says in the cloud's own words. */
  annotations: Readonly<Record<string, string>>;
}

export interface BalancedPort {
  protocol: string;
  port: number;
  /** The port on every node; 0 when the service has none. */
  nodePort: number;
}

export interface Balanced {
  /** Until it is active, nobody is served; it takes minutes. */
  state: "active" | "provisioning";
  /** Where it is reached; may be told before it is active. */
  ingress: { hostname?: string; ip?: string }[];
  /** What this call has changed. */
  changed: "nothing" | "nodes" | "balancer";
}

export interface Instance {
  /** The node's name. */
  node: string;
  zone: string;
  /** Whether it takes packets that are not for itself. */
  forwards: boolean;
}

export interface Route {
  /** Such as `10.244.3.0/24`. */
  block: string;
  /** The node's name; empty when the route leads to nobody that is known. */
  node: string;
  /** Everything is as `ensureRoute` makes it. */
  whole: boolean;
}

/** The cloud will not do this however often it is asked; the message says what and why. */
export class Refused extends Error {
  constructor(message: string) {
    super(message);
    this.name = "Refused";
  }
}
