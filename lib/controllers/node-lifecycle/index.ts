/**
 * Marks nodes without heartbeats as not ready and taints nodes by their conditions (upstream's node-lifecycle
 * controller).
 */
import {
  findCondition,
  type Lease,
  leases,
  type Node,
  type NodeCondition,
  nodes,
  type Pod,
  pods,
  type Taint,
} from "#api";
import { clone, deepEqual, formatTime, ignoreNotFound, parseTime } from "#base";
import { readyCondition } from "#controllers/workload";
import { type Controller, type ControllerContext, defineController, type Key, type Result, watching } from "#reconcile";

/** Milliseconds without a renewal of its lease after which a node is considered unreachable. */
const gracePeriod = 50_000;
const leaseNamespace = "kube-node-lease";

const taintKeys = {
  notReady: "node.kubernetes.io/not-ready",
  unreachable: "node.kubernetes.io/unreachable",
  unschedulable: "node.kubernetes.io/unschedulable",
  network: "node.kubernetes.io/network-unavailable",
};

const pressures: Record<string, string> = {
  MemoryPressure: "node.kubernetes.io/memory-pressure",
  DiskPressure: "node.kubernetes.io/disk-pressure",
  PIDPressure: "node.kubernetes.io/pid-pressure",
  NetworkUnavailable: taintKeys.network,
};

const ownTaints = new Set([...Object.values(taintKeys), ...Object.values(pressures)]);

/** Heartbeats that are recorded even while no controller runs. */
export interface NodeHeartbeats {
  /** When the last heartbeat of the node arrived, in milliseconds since the epoch. */
  lastHeartbeat(node: string): Promise<number | undefined>;
  /** Milliseconds without a heartbeat after which a node is considered unreachable. */
  grace: number;
}

/**
 * While no controller ran, no heartbeat could arrive, so after a start all nodes have their grace period again: the
 * first reconcile of this process counts as a heartbeat, unless heartbeats are recorded elsewhere.
 */
export function nodeLifecycleController(signs?: NodeHeartbeats): Controller<Node> {
  let startedAt: number | undefined;
  return defineController<Node>({
    name: "node-lifecycle",
    component: "node-controller",
    for: nodes,
    watches: [
      // A renewed lease matters only to a node that was considered unreachable; the timer covers the others.
      watching<Lease>(leases, async ({ object }, { client }) => {
        const { namespace, name = "" } = object.metadata;
        if (namespace !== leaseNamespace) return [];
        const node = await ignoreNotFound(client.get(nodes, { name }));
        return node && findCondition(node.status?.conditions, "Ready")?.status === "Unknown" ? [{ name }] : [];
      }),
    ],
    ...(signs ? { everyMinute: true } : {}),
    async reconcile(context, key) {
      if (signs) {
        await syncNode(context, key, (await signs.lastHeartbeat(key.name)) ?? 0, signs.grace);
        return undefined;
      }
      startedAt ??= context.clock.now();
      return syncNode(context, key, startedAt, gracePeriod);
    },
  });
}

async function syncNode(
  context: ControllerContext,
  key: Key,
  known: number,
  grace: number,
): Promise<Result | undefined> {
  const { client, clock } = context;
  const node = await ignoreNotFound(client.get(nodes, key));
  if (!node || node.metadata.deletionTimestamp) return undefined;
  const lease = await ignoreNotFound(client.get(leases, { namespace: leaseNamespace, name: key.name }));
  const lastHeartbeat = Math.max(known, ...heartbeats(node, lease));
  const silent = clock.now() - lastHeartbeat >= grace;
  const seen = silent ? await markUnknown(context, node) : node;
  await setTaints(context, seen);
  const ready = findCondition(seen.status?.conditions, "Ready")?.status;
  if (ready !== undefined && ready !== "True") await markPods(context, key.name);
  return silent ? undefined : { requeueAfter: lastHeartbeat + grace - clock.now() };
}

/** Times at which the node is known to have run. */
const heartbeats = (node: Node, lease: Lease | undefined): number[] =>
  [
    node.metadata.creationTimestamp,
    lease?.spec?.renewTime,
    findCondition(node.status?.conditions, "Ready")?.lastHeartbeatTime,
  ]
    .filter((time) => time !== undefined)
    .map(parseTime);

/** Sets the conditions that the node reported to Unknown. */
async function markUnknown({ client, clock, record }: ControllerContext, node: Node): Promise<Node> {
  const now = formatTime(clock.now());
  const known = node.status?.conditions ?? [];
  const types = new Set(["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"]);
  const missing = [...types].filter((type) => !known.some((condition) => condition.type === type));
  const unknown = (condition: NodeCondition): NodeCondition => {
    if (!types.has(condition.type) || condition.status === "Unknown") return condition;
    return {
      ...condition,
      status: "Unknown",
      reason: "NodeStatusUnknown",
      message: "Kubelet stopped posting node status.",
      lastTransitionTime: now,
    };
  };
  const never = (type: string): NodeCondition => ({
    type,
    status: "Unknown",
    reason: "NodeStatusNeverUpdated",
    message: "Kubelet never posted node status.",
    lastHeartbeatTime: node.metadata.creationTimestamp,
    lastTransitionTime: now,
  });
  const conditions = [...known.map(unknown), ...missing.map(never)];
  if (deepEqual(conditions, known)) return node;
  const wasReady = findCondition(node.status?.conditions, "Ready")?.status === "True";
  const written = await client.update(
    nodes,
    { ...node, status: { ...node.status, conditions } },
    { subresource: "status" },
  );
  if (wasReady)
    record(
      { kind: nodes, object: node },
      "Normal",
      "NodeNotReady",
      `Node ${node.metadata.name} status is now: NodeNotReady`,
    );
  return written;
}

/** The taints that follow from a node's conditions. */
function wantedTaints(node: Node): Taint[] {
  const ready = findCondition(node.status?.conditions, "Ready")?.status;
  const wanted: Taint[] = [];
  // A node that has not reported yet is not ready, but its pods need not be evicted.
  if (ready === undefined) wanted.push({ key: taintKeys.notReady, effect: "NoSchedule" });
  else if (ready === "False")
    wanted.push({ key: taintKeys.notReady, effect: "NoSchedule" }, { key: taintKeys.notReady, effect: "NoExecute" });
  else if (ready !== "True")
    wanted.push(
      { key: taintKeys.unreachable, effect: "NoSchedule" },
      { key: taintKeys.unreachable, effect: "NoExecute" },
    );
  if (node.spec?.unschedulable) wanted.push({ key: taintKeys.unschedulable, effect: "NoSchedule" });
  for (const [type, key] of Object.entries(pressures)) {
    if (findCondition(node.status?.conditions, type)?.status === "True") wanted.push({ key, effect: "NoSchedule" });
  }
  return wanted;
}

async function setTaints({ client, clock }: ControllerContext, node: Node): Promise<void> {
  const now = formatTime(clock.now());
  const before = node.spec?.taints ?? [];
  const wanted = wantedTaints(node);
  const same = (a: Taint, b: Taint) => a.key === b.key && a.effect === b.effect;
  const kept = before.filter((taint) => !ownTaints.has(taint.key) || wanted.some((each) => same(each, taint)));
  const added = wanted
    .filter((taint) => !before.some((each) => same(each, taint)))
    .map((taint) => (taint.effect === "NoExecute" ? { ...taint, timeAdded: now } : taint));
  if (added.length === 0 && kept.length === before.length) return;
  const next = clone(node);
  next.spec = { ...next.spec, taints: [...kept, ...added] };
  await client.update(nodes, next);
}

/** Marks the pods of a node that is not ready as not ready, so that services do not send traffic to them. */
async function markPods({ client, clock, record }: ControllerContext, nodeName: string): Promise<void> {
  const { items } = await client.list(pods, { fields: [{ field: "spec.nodeName", equal: true, value: nodeName }] });
  for (const pod of items) {
    const ready = readyCondition(pod);
    if (ready?.status !== "True") continue;
    const conditions = pod.status!.conditions!.map((condition) =>
      condition === ready ? { ...condition, status: "False", lastTransitionTime: formatTime(clock.now()) } : condition,
    );
    const next: Pod = { ...pod, status: { ...pod.status, conditions } };
    // A conflict is retried: no other event is certain to trigger this node again.
    const written = await ignoreNotFound(client.update(pods, next, { subresource: "status" }));
    if (written) record({ kind: pods, object: pod }, "Warning", "NodeNotReady", "Node is not ready");
  }
}
