import type { Endpoint } from "./endpoints.ts";
import { hasExternalFrontends, type ServicePort } from "./service-port.ts";

/** What decides on this node which endpoints are near. */
export interface NodeFacts {
  name: string;
  /** The label topology.kubernetes.io/zone; empty: none. */
  zone: string;
}

/** The endpoints that a node uses for one service port. */
export interface UsableEndpoints {
  /** For the traffic policy Cluster; empty if no frontend uses it. */
  cluster: readonly Endpoint[];
  /** For the traffic policy Local; empty if no frontend uses it. */
  local: readonly Endpoint[];
  /** Whether the service has a usable endpoint anywhere in the cluster. */
  hasAny: boolean;
}

type Nearness = "same node" | "same zone" | "any";

/**
 * Chooses the endpoints of one service port: ready ones, restricted by hints of trafficDistribution; without ready ones
 * those that are terminating and still serve. Local and cluster endpoints fall back separately. Follows upstream's
 * CategorizeEndpoints, whose third result is `reachable` here.
 */
export function categorize(port: ServicePort, endpoints: readonly Endpoint[], node: NodeFacts): UsableEndpoints {
  const usesCluster = !port.internalLocal || hasExternalFrontends(port);
  const usesLocal = port.internalLocal || (port.externalLocal && hasExternalFrontends(port));
  const cluster = usesCluster ? clusterEndpoints(endpoints, node) : [];
  if (!usesLocal) return { cluster, local: [], hasAny: cluster.length > 0 };
  const local = readyElseServing(endpoints.filter(({ isLocal }) => isLocal));
  return { cluster, local, hasAny: cluster.length > 0 || readyElseServing(endpoints).length > 0 };
}

/** All endpoints that traffic from this node can reach, each once. */
export function reachable({ cluster, local }: UsableEndpoints): Endpoint[] {
  const known = new Set(cluster.map(({ ip, port }) => `${ip} ${port}`));
  return [...cluster, ...local.filter(({ ip, port }) => !known.has(`${ip} ${port}`))];
}

function readyElseServing(endpoints: readonly Endpoint[]): Endpoint[] {
  const ready = endpoints.filter(({ isReady }) => isReady);
  return ready.length > 0 ? ready : endpoints.filter(({ isServing, isTerminating }) => isServing && isTerminating);
}

function clusterEndpoints(endpoints: readonly Endpoint[], node: NodeFacts): Endpoint[] {
  const usable = readyElseServing(endpoints);
  if (!usable[0]?.isReady) return usable;
  const nearness = nearnessOf(usable, node);
  return usable.filter((endpoint) => isNear(endpoint, nearness, node));
}

/**
 * How near endpoints have to be: hints count only where every ready endpoint has one and one of them names this node or
 * its zone. Follows upstream's topologyModeFromHints.
 */
function nearnessOf(ready: readonly Endpoint[], node: NodeFacts): Nearness {
  if (ready.every(({ nodeHints }) => nodeHints) && ready.some((endpoint) => isNear(endpoint, "same node", node)))
    return "same node";
  if (ready.every(({ zoneHints }) => zoneHints) && ready.some((endpoint) => isNear(endpoint, "same zone", node)))
    return "same zone";
  return "any";
}

function isNear({ nodeHints = [], zoneHints = [] }: Endpoint, nearness: Nearness, { name, zone }: NodeFacts): boolean {
  if (nearness === "same node") return nodeHints.includes(name);
  return nearness === "any" || zoneHints.includes(zone);
}
