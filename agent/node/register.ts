import type { Runtime, RuntimeInfo } from "#agent/runtime";
import { type Lease, leases, type Node, type NodeCondition, type NodeStatus, nodes } from "#api";
import { withTransitionTime } from "#api/meta";
import {
  type Clock,
  deepEqual,
  formatMicroTime,
  formatTime,
  ignoreNotFound,
  isReason,
  type Log,
  messageOf,
  sleep,
} from "#base";
import type { Client } from "#client";
import type { Held } from "./allocatable.ts";
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
  /** The most pods that the node accepts. Defaults to `mostPods`. */
  pods?: number | undefined;
  /** What pods may not request. Absent: nothing. */
  held?: Held | undefined;
  version: string;
  /** Whether the cluster knows otherwise that the node is alive: its lease is not renewed then. */
  alive?: (() => boolean) | undefined;
  /** The state of the pods' network; absent where another component reports it. */
  networkState?: (() => Promise<{ ok: boolean; message: string }>) | undefined;
  /** What the node is short of: conditions such as `DiskPressure`. Absent: nothing. */
  pressures?: (() => ReadonlySet<string>) | undefined;
  /** Whether the machine shuts down: the node is then not ready. */
  shutsDown?: (() => boolean) | undefined;
  /** Receives a function that makes the next check of the status due now. */
  hurry?: ((check: () => void) => void) | undefined;
  /** Instead of the facts of the machine: for simulated nodes. */
  facts?: (() => Promise<HostFacts>) | undefined;
}

export interface NodeAgent {
  /** Resolves once the node is registered with its status. */
  ready: Promise<void>;
  stop(): Promise<void>;
}

/** The kubelet's default. */
export const mostPods = 110;

const leaseNamespace = "kube-node-lease";
const leaseSeconds = 40;
const renewMilliseconds = 10_000;
/** How often the machine's facts are read. */
const checkMilliseconds = 10_000;
/** A runtime that does not answer for less than this counts as up. */
const graceMilliseconds = 30_000;
/** A status that has not changed is written again after this time. */
const repeatMilliseconds = 300_000;

/**
 * After this time without a sign of the node the cluster may have marked it as lost, and its status is written again.
 * Shorter than the time of the node lifecycle controller, 40 s. Upstream's kubelet reads its node at each check instead.
 */
const lostMilliseconds = 30_000;

/** When the cluster last had a sign of the node. An agent that is paused or cut off finds out afterwards. */
class Contact {
  readonly #clock: Clock;
  #at: number;
  #wasLost = false;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#at = clock.now();
  }

  /** The cluster may have changed the node's status since it was written. */
  get isLost(): boolean {
    return this.#wasLost || this.#clock.now() - this.#at >= lostMilliseconds;
  }

  /** The cluster has had a sign. */
  note(): void {
    this.#wasLost = this.isLost;
    this.#at = this.#clock.now();
  }

  /** The status is written. */
  restore(): void {
    this.#wasLost = false;
    this.#at = this.#clock.now();
  }
}

/** Registers the node and renews its lease and status until it is stopped. */
export function startNode(options: NodeOptions): NodeAgent {
  const { clock, log, name } = options;
  const stopping = new AbortController();
  let waking = new AbortController();
  options.hurry?.(() => waking.abort());
  const reported = Promise.withResolvers<void>();
  const every = async (milliseconds: number, what: string, act: () => Promise<void>): Promise<void> => {
    while (!stopping.signal.aborted) {
      let wait = milliseconds;
      try {
        await act();
      } catch (error) {
        if (!stopping.signal.aborted) log.warn(what, { node: name, error: messageOf(error) });
        wait = Math.min(1000, milliseconds);
      }
      await sleep(clock, wait, AbortSignal.any([stopping.signal, waking.signal]));
      if (waking.signal.aborted) waking = new AbortController();
    }
  };
  const contact = new Contact(clock);
  const status = statusReporter(options, contact, () => reported.resolve());
  const lease = leaseRenewer(options, contact);
  const running = every(checkMilliseconds, "the node's status could not be written", status);
  const renewing = reported.promise.then(() =>
    every(renewMilliseconds, "the node's lease could not be renewed", lease),
  );
  return {
    ready: reported.promise,
    stop: async () => {
      stopping.abort();
      reported.resolve();
      await Promise.all([running, renewing]);
    },
  };
}

/** Returns a function that registers a missing node and writes a changed status. */
function statusReporter(options: NodeOptions, contact: Contact, reported: () => void): () => Promise<void> {
  const { client, runtime, clock, name } = options;
  let last: NodeStatus | undefined;
  let at = 0;
  let lastInfo: RuntimeInfo | undefined;
  let answeredAt = 0;
  return async () => {
    const facts = await (options.facts ?? (() => hostFacts(options.folder)))();
    let runtimeError = "";
    const info = await runtime.info().catch((error: unknown) => {
      runtimeError = messageOf(error);
      // A runtime that is restarted answers again soon: pods need not leave the node for that.
      return clock.now() - answeredAt < graceMilliseconds ? lastInfo : undefined;
    });
    if (info && runtimeError === "") {
      lastInfo = info;
      answeredAt = clock.now();
    }
    const network = await options.networkState?.();
    const images = info ? await runtime.images.list().catch(() => []) : [];
    const input = {
      name,
      facts,
      info,
      runtimeError,
      images,
      pressures: options.pressures?.() ?? new Set<string>(),
      network,
      pods: options.pods ?? mostPods,
      held: options.held ?? {},
      shutsDown: options.shutsDown?.() === true,
      version: options.version,
      port: 10250,
    };
    const status = nodeStatus(input);
    const now = clock.now();
    if (last && deepEqual(status, last) && now - at < repeatMilliseconds && !contact.isLost) return;
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
    contact.restore();
    last = status;
    at = now;
    reported();
  };
}

/** The kubelet's conditions with their times, and those of other writers unchanged. */
function timed(node: Node, status: NodeStatus, now: number): NodeCondition[] {
  const before = node.status?.conditions ?? [];
  const mine = (status.conditions ?? []).map((condition) => {
    const same = before.find(({ type }) => type === condition.type);
    return withTransitionTime(same, { ...condition, lastHeartbeatTime: formatTime(now) }, now);
  });
  const foreign = before.filter(({ type }) => !mine.some((condition) => condition.type === type));
  return [...mine, ...foreign];
}

type Registered = Pick<NodeOptions, "client" | "name" | "podCidr" | "labels">;

/** The node as stored, created if it is missing and with the required labels. */
export async function ensureNode(
  { client, name, podCidr, labels = {} }: Registered,
  facts: Pick<HostFacts, "operatingSystem" | "architecture">,
): Promise<Node> {
  const required: Record<string, string> = {
    "kubernetes.io/hostname": name,
    "kubernetes.io/os": facts.operatingSystem,
    "kubernetes.io/arch": facts.architecture,
    "beta.kubernetes.io/os": facts.operatingSystem,
    "beta.kubernetes.io/arch": facts.architecture,
    ...labels,
  };
  const node = await ignoreNotFound(client.get(nodes, { name }));
  if (!node) {
    const spec = podCidr === undefined ? {} : { spec: { podCIDR: podCidr, podCIDRs: [podCidr] } };
    return client.create(nodes, { metadata: { name, labels: required }, ...spec } as Node);
  }
  const missing = Object.entries(required).filter(([key, value]) => node.metadata.labels?.[key] !== value);
  if (missing.length === 0) return node;
  return client.patch(nodes, { name }, { metadata: { labels: Object.fromEntries(missing) } }, { type: "merge" });
}

/** Returns a function that renews the node's lease, and creates a missing one. */
function leaseRenewer({ client, clock, name, alive }: NodeOptions, contact: Contact): () => Promise<void> {
  let held: Lease | undefined;
  return async () => {
    if (alive?.()) return contact.note();
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
    contact.note();
  };
}
