/**
 * A cloud, as far as a cluster needs one. Every call may be repeated at any time and from any partial state: after a
 * crash, the same call completes the work. Resources carry marks of the cluster; a resource without them is neither
 * changed nor deleted, whatever its name.
 *
 * Calls reject with RetryAfter when the cloud is busy or a resource is still in use, with Refused when the cloud can
 * never fulfil the request, and with any other error on failure.
 */
export interface Cloud {
  /** Brings a service's load balancer to the desired state. Does not wait until it can be used: see `state`. */
  ensureLoadBalancer(desired: LoadBalancer): Promise<LoadBalancerStatus>;
  /** Removes all parts of a service's load balancer. `going`: some still exist; call again. */
  removeLoadBalancer(uid: string): Promise<"gone" | "going">;
  /** The services with at least one part of a load balancer, complete or not. */
  loadBalancers(): Promise<ServiceRef[]>;
  /** Those of the nodes that are running instances of this cluster. */
  instances(nodes: readonly string[]): Promise<Instance[]>;
  /** The routes to pods, within the cluster's pod addresses; undefined when the cluster does not manage routes. */
  routes(): Promise<Route[] | undefined>;
  /** Routes packets for a block to a node, and makes the node accept packets for other addresses than its own. */
  ensureRoute(route: Pick<Route, "block" | "node">): Promise<void>;
  /** Removes a route. No effect when it does not exist or leads to another node. */
  removeRoute(route: Pick<Route, "block" | "node">): Promise<void>;
}

/** The service that a load balancer is for. */
export interface ServiceRef {
  uid: string;
  namespace: string;
  name: string;
}

export interface LoadBalancer {
  service: ServiceRef;
  ports: readonly LoadBalancerPort[];
  /** Names of the nodes that receive traffic. */
  nodes: readonly string[];
  /** Blocks of IPv4 addresses of allowed clients. */
  sourceRanges: readonly string[];
  /** The nodes' port that serves /healthz over HTTP. Undefined: the traffic port is probed over TCP. */
  healthPort?: number;
  /** Whether a client stays with its node. */
  affinity: boolean;
  /** The address that the service requests. */
  address?: string;
  /** The service's annotations. */
  annotations: Readonly<Record<string, string>>;
}

export interface LoadBalancerPort {
  protocol: string;
  port: number;
  /** The port on every node; 0 when the service has none. */
  nodePort: number;
}

export interface LoadBalancerStatus {
  /** Serves no clients until it is active, which takes minutes. */
  state: "active" | "provisioning";
  /** Its addresses; they may be known before it is active. */
  ingress: { hostname?: string; ip?: string }[];
  /** What this call changed. */
  changed: "nothing" | "nodes" | "balancer";
}

export interface Instance {
  /** The node's name. */
  node: string;
  zone: string;
  /** Whether it accepts packets for other addresses than its own. */
  forwards: boolean;
}

export interface Route {
  /** Such as `10.244.3.0/24`. */
  block: string;
  /** The node's name; empty when the route does not lead to a known node. */
  node: string;
  /** The route and its node are as `ensureRoute` leaves them. */
  isComplete: boolean;
}

/** The cloud can never fulfil the request; the message names the reason. */
export class Refused extends Error {
  constructor(message: string) {
    super(message);
    this.name = "Refused";
  }
}
