/**
 * Creates routes between the pods of different instances: a route of the cloud's network for the block of each node
 * (upstream's route controller). All routes are reconciled under one key, so two workers never undo each other's
 * changes. Without a cloud, or with one that has no routes, it does nothing.
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
/** Changes of one reconcile; the next one follows at once. */
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

/** A node was added or deleted, got its block, stopped or started, or another writer changed its condition. */
const concerns = ({ type, object, previous }: ObjectEvent<Node>): boolean =>
  type !== "MODIFIED" ||
  object.spec?.podCIDR !== previous?.spec?.podCIDR ||
  (previous !== undefined && readiness(object) !== readiness(previous)) ||
  conditionOf(object)?.status !== conditionOf(previous)?.status;

async function reconcile(context: ControllerContext, cloud: Cloud, cluster: Cidr): Promise<Result | undefined> {
  const routes = await cloud.routes();
  if (!routes) return undefined;
  // Nodes are read after the routes: a route without a node had one, which has been deleted.
  const { items } = await context.client.list(nodes);
  const { found, recheckAfter } = await instancesOf(
    context,
    cloud,
    items.filter(({ spec }) => spec?.podCIDR),
  );
  const waits = recheckAfter === undefined ? [] : [recheckAfter];
  let changes = 0;
  const owners = new Map(items.flatMap(({ metadata, spec }) => (spec?.podCIDR ? [[spec.podCIDR, metadata.name]] : [])));
  for (const route of routes) {
    const owner = owners.get(route.block);
    // The route of a node that is no longer an instance leads nowhere; the route of an owned block is corrected below.
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
    const isMade = has || (await createRoute(context, cloud, node, { block, node: name }));
    await writeCondition(context, node, isMade);
    if (!isMade) waits.push(afterFailure);
  }
  return waits.length > 0 ? { requeueAfter: Math.min(...waits) } : undefined;
}

async function createRoute(
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

/** Writes the NetworkUnavailable condition; upstream keeps pods off nodes whose network is unavailable. */
async function writeCondition({ client, clock }: ControllerContext, node: Node, isMade: boolean): Promise<void> {
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

/** Whether a block is part of the cluster CIDR. Routes of other blocks are left alone. */
function isWithin(block: string, cluster: Cidr): boolean {
  const own = parseCidr(block);
  if (own?.version !== 4 || own.prefix < cluster.prefix) return false;
  return own.value >= cluster.value && own.value < cluster.value + 2n ** BigInt(32 - cluster.prefix);
}
