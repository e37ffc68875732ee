/**
 * Makes the pods of different instances reach each other: for each node's part of the pod addresses a route of the
 * cloud's network (upstream's route controller). All routes are looked at together, by one worker, so that none is
 * removed that another has just made. Without a cloud, or one that makes no routes, it does nothing.
 */
import { type Cidr, findCondition, type Node, type NodeCondition, nodes, parseCidr } from "#api";
import { formatTime, ignoreReasons, messageOf } from "#base";
import type { Cloud, Route } from "#cloud";
import {
  type Controller,
  type ControllerContext,
  defineController,
  type Key,
  type ObjectEvent,
  type Result,
  RetryAfter,
  watching,
} from "#reconcile";
import { instancesOf, readiness } from "../cloud-nodes.ts";

/** The one key: all routes of the cluster. */
const all: Key = { name: "all" };
/** Changes that one run makes; the next goes on at once. */
const mostChanges = 50;
const afterFailure = 30_000;

export function nodeRouteController(cloud?: Cloud, podCidr?: string): Controller<Node> {
  const cluster = podCidr === undefined ? undefined : parseCidr(podCidr);
  return defineController<Node>({
    name: "node-route",
    component: "route_controller",
    for: nodes,
    concerns: () => false,
    watches: cloud && cluster ? [watching<Node>(nodes, (seen) => (concerns(seen) ? [all] : []))] : [],
    workers: 1,
    reconcile: async (context) => (cloud && cluster ? reconcile(context, cloud, cluster) : undefined),
  });
}

const conditionOf = (node: Node | undefined): NodeCondition | undefined =>
  findCondition(node?.status?.conditions, "NetworkUnavailable");

/** A node that has come to its block, or leaves it; one that stops or starts; one whose condition somebody else wrote. */
const concerns = ({ type, object, previous }: ObjectEvent<Node>): boolean =>
  type !== "MODIFIED" ||
  object.spec?.podCIDR !== previous?.spec?.podCIDR ||
  (previous !== undefined && readiness(object) !== readiness(previous)) ||
  conditionOf(object)?.status !== conditionOf(previous)?.status;

async function reconcile(context: ControllerContext, cloud: Cloud, cluster: Cidr): Promise<Result | undefined> {
  const routes = await cloud.routes();
  if (!routes) return undefined;
  // Nodes are read after the routes: a route without a node had one, and it has gone.
  const { items } = await context.client.list(nodes);
  const { found, again } = await instancesOf(
    context,
    cloud,
    items.filter(({ spec }) => spec?.podCIDR),
  );
  const waits = again === undefined ? [] : [again];
  let changes = 0;
  const owners = new Map(items.flatMap(({ metadata, spec }) => (spec?.podCIDR ? [[spec.podCIDR, metadata.name]] : [])));
  for (const route of routes) {
    const owner = owners.get(route.block);
    // Of a node that is no instance any more the route leads nowhere; what has an owner is led there below.
    const isKept = owner !== undefined && (owner === route.node || found.has(owner));
    if (!isWithin(route.block, cluster) || isKept) continue;
    if (++changes > mostChanges) return { requeueAfter: 0 };
    await cloud.removeRoute(route);
  }
  for (const [name, { node, instance }] of found) {
    const block = node.spec?.podCIDR ?? "";
    if (!isWithin(block, cluster)) continue;
    const has =
      instance.forwards && routes.some((route) => route.block === block && route.node === name && route.isComplete);
    if (!has && ++changes > mostChanges) return { requeueAfter: 0 };
    const isMade = has || (await make(context, cloud, node, { block, node: name }));
    await tell(context, node, isMade);
    if (!isMade) waits.push(afterFailure);
  }
  return waits.length > 0 ? { requeueAfter: Math.min(...waits) } : undefined;
}

async function make(
  { log, record }: ControllerContext,
  cloud: Cloud,
  node: Node,
  route: Pick<Route, "block" | "node">,
): Promise<boolean> {
  try {
    await cloud.ensureRoute(route);
    return true;
  } catch (error) {
    if (error instanceof RetryAfter) throw error;
    const message = `Could not create route ${node.metadata.uid} ${route.block} for node ${route.node}: ${messageOf(error)}`;
    log.warn("a route could not be made", { node: route.node, error: messageOf(error) });
    record({ kind: nodes as never, object: node }, "Warning", "FailedToCreateRoute", message);
    return false;
  }
}

/** Says on the node whether its pods are reached; upstream keeps pods off nodes whose network is unavailable. */
async function tell({ client, clock }: ControllerContext, node: Node, isMade: boolean): Promise<void> {
  const status = isMade ? "False" : "True";
  if (conditionOf(node)?.status === status) return;
  const now = formatTime(clock.now());
  const condition = {
    type: "NetworkUnavailable",
    status,
    lastTransitionTime: now,
    lastHeartbeatTime: now,
    reason: isMade ? "RouteCreated" : "NoRouteCreated",
    message: isMade ? "RouteController created a route" : "RouteController failed to create a route",
  };
  const { uid, name = "" } = node.metadata;
  const patch = { metadata: { uid }, status: { conditions: [condition] } };
  const how = { type: "strategic", subresource: "status" } as const;
  await ignoreReasons(["NotFound", "Conflict"], client.patch(nodes, { name }, patch, how));
}

/** Whether a block is a part of the cluster's addresses: nothing else is anybody's here. */
function isWithin(block: string, cluster: Cidr): boolean {
  const own = parseCidr(block);
  if (own?.version !== 4 || own.prefix < cluster.prefix) return false;
  return own.value >= cluster.value && own.value < cluster.value + 2n ** BigInt(32 - cluster.prefix);
}
