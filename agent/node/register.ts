import type { Runtime, RuntimeInfo } from "#agent/runtime";
import { type Lease, leases, type Node, type NodeCondition, type NodeStatus, nodes } from "#api";
import { type Clock, deepEqual, formatMicroTime, formatTime, isReason, type Log, messageOf, sleep } from "#base";
import type { Client } from "#client";
import { type HostFacts, hostFacts } from "./facts.ts";
import { nodeStatus } from "./status.ts";

export interface NodeOptions {
  name: string;
  client: Client;
  runtime: Runtime;
  clock: Clock;
  log: Log;
  /** A folder on the file system whose space decides about disk pressure. */
  folder: string;
  /** The range of its pods' addresses, written to the node when it is created. */
  podCidr?: string | undefined;
  /** Instead: the range that the cluster has given to the node. `changed` is called when it is given another. */
  range?: { podCidr: string; changed(podCidr: string): void } | undefined;
  labels?: Record<string, string> | undefined;
  /** The most pods that the node accepts. Defaults to 110. */
  pods?: number | undefined;
  version: string;
  /** Whether the cluster knows otherwise that the node is alive: its lease is not renewed then. */
  alive?: (() => boolean) | undefined;
  /** The state of the pods' network; absent where another component reports it. */
  networkState?: (() => Promise<{ ok: boolean; message: string }>) | undefined;
  /** Instead of the facts of the machine: for simulated nodes. */
  facts?: (() => Promise<HostFacts>) | undefined;
}

export interface NodeAgent {
  /** Resolves once the node is registered and has told its status. */
  ready: Promise<void>;
  stop(): Promise<void>;
}

const leaseNamespace = "kube-node-lease";
const leaseSeconds = 40;
const renewMilliseconds = 10_000;
/** How often the machine is looked at. */
const lookMilliseconds = 10_000;
/** A runtime that is silent for less than this counts as up. */
const patienceMilliseconds = 30_000;
/** A status that has not changed is told again after this time. */
const repeatMilliseconds = 300_000;

/** Registers the node and keeps it alive until it is stopped. */
export function startNode(options: NodeOptions): NodeAgent {
  const { clock, log, name } = options;
  const stopping = new AbortController();
  const told = Promise.withResolvers<void>();
  const every = async (milliseconds: number, what: string, act: () => Promise<void>): Promise<void> => {
    while (!stopping.signal.aborted) {
      let wait = milliseconds;
      try {
        await act();
      } catch (error) {
        if (!stopping.signal.aborted) log.warn(what, { node: name, error: messageOf(error) });
        wait = Math.min(1000, milliseconds);
      }
      await sleep(clock, wait, stopping.signal);
    }
  };
  const status = statusKeeper(options, () => told.resolve());
  const lease = leaseKeeper(options);
  const running = every(lookMilliseconds, "the node's status could not be told", status);
  const renewing = told.promise.then(() => every(renewMilliseconds, "the node's lease could not be renewed", lease));
  return {
    ready: told.promise,
    stop: async () => {
      stopping.abort();
      told.resolve();
      await Promise.all([running, renewing]);
    },
  };
}

/** One look at the machine: registers the node where it is missing, tells its status where that has changed. */
function statusKeeper(options: NodeOptions, told: () => void): () => Promise<void> {
  const { client, runtime, clock, name } = options;
  let last: NodeStatus | undefined;
  let at = 0;
  let heard: RuntimeInfo | undefined;
  let heardAt = 0;
  return async () => {
    const facts = await (options.facts ?? (() => hostFacts(options.folder)))();
    let runtimeError = "";
    const info = await runtime.info().catch((error: unknown) => {
      runtimeError = messageOf(error);
      // A runtime that is started again is back in a moment: nobody has to leave the node for that.
      return clock.now() - heardAt < patienceMilliseconds ? heard : undefined;
    });
    if (info && runtimeError === "") {
      heard = info;
      heardAt = clock.now();
    }
    const network = await options.networkState?.();
    const images = info ? await runtime.images.list().catch(() => []) : [];
    const input = {
      name,
      facts,
      info,
      runtimeError,
      images,
      ...(network ? { network } : {}),
      pods: options.pods ?? 110,
      version: options.version,
      port: 10250,
    };
    const status = nodeStatus(input);
    const now = clock.now();
    if (last && deepEqual(status, last) && now - at < repeatMilliseconds) return;
    for (;;) {
      const node = await ensureNode(options, facts);
      const { podCIDR } = node.spec ?? {};
      if (options.range && podCIDR && podCIDR !== options.range.podCidr) options.range.changed(podCIDR);
      const next = { ...node, status: { ...node.status, ...status, conditions: timed(node, status, now) } } as Node;
      try {
        await client.update(nodes, next, { subresource: "status" });
        break;
      } catch (error) {
        if (!isReason(error, "Conflict")) throw error;
      }
    }
    last = status;
    at = now;
    told();
  };
}

/** The kubelet's conditions with their times, and everybody else's as they are. */
function timed(node: Node, status: NodeStatus, now: number): NodeCondition[] {
  const before = node.status?.conditions ?? [];
  const mine = (status.conditions ?? []).map((condition) => {
    const same = before.find(({ type }) => type === condition.type);
    const since = same?.status === condition.status ? same.lastTransitionTime : undefined;
    return { ...condition, lastHeartbeatTime: formatTime(now), lastTransitionTime: since ?? formatTime(now) };
  });
  const foreign = before.filter(({ type }) => !mine.some((condition) => condition.type === type));
  return [...mine, ...foreign];
}

type Registered = Pick<NodeOptions, "client" | "name" | "podCidr" | "labels">;

/** The node as it stands, made where it is missing and with the labels that it must have. */
export async function ensureNode(
  { client, name, podCidr, labels = {} }: Registered,
  facts: Pick<HostFacts, "operatingSystem" | "architecture">,
): Promise<Node> {
  const wanted: Record<string, string> = {
    "kubernetes.io/hostname": name,
    "kubernetes.io/os": facts.operatingSystem,
    "kubernetes.io/arch": facts.architecture,
    "beta.kubernetes.io/os": facts.operatingSystem,
    "beta.kubernetes.io/arch": facts.architecture,
    ...labels,
  };
  let node: Node;
  try {
    node = await client.get(nodes, { name });
  } catch (error) {
    if (!isReason(error, "NotFound")) throw error;
    const spec = podCidr === undefined ? {} : { spec: { podCIDR: podCidr, podCIDRs: [podCidr] } };
    return client.create(nodes, { metadata: { name, labels: wanted }, ...spec } as Node);
  }
  const missing = Object.entries(wanted).filter(([key, value]) => node.metadata.labels?.[key] !== value);
  if (missing.length === 0) return node;
  return client.patch(nodes, { name }, { metadata: { labels: Object.fromEntries(missing) } }, { type: "merge" });
}

/** Renews the node's lease, and makes it where it is missing. */
function leaseKeeper({ client, clock, name, alive }: NodeOptions): () => Promise<void> {
  let held: Lease | undefined;
  return async () => {
    if (alive?.()) return;
    const renewTime = formatMicroTime(clock.now());
    const spec = { holderIdentity: name, leaseDurationSeconds: leaseSeconds, renewTime };
    try {
      held ??= await client.get(leases, { namespace: leaseNamespace, name });
      held = await client.update(leases, { ...held, spec: { ...held.spec, ...spec } });
    } catch (error) {
      held = undefined;
      if (!isReason(error, "NotFound")) throw error;
      const node = await client.get(nodes, { name });
      const owner = { apiVersion: "v1", kind: "Node", name, uid: node.metadata.uid ?? "" };
      held = await client.create(leases, {
        metadata: { name, namespace: leaseNamespace, ownerReferences: [owner] },
        spec,
      } as Lease);
    }
  };
}
