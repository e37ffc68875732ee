import { mkdir } from "node:fs/promises";
import { resolvConfFault } from "#agent/dns";
import { defaultThresholds, EvictionManager, observeHost, parseSoftThresholds, parseThresholds } from "#agent/eviction";
import { Link, type LinkOptions, type LinkServer, MovingLink, type Upgrades, upgradeServer } from "#agent/link";
import type { ManifestFault } from "#agent/manifests";
import { kubeletMetrics } from "#agent/metrics";
import { amountsOf, type HostFacts, hostFacts, mostPods, type NodeOptions, startNode } from "#agent/node";
import {
  cgroupParentOf,
  ImageCollection,
  logDirectoryOf,
  type NodeFacts,
  type PodsContext,
  podTokens,
} from "#agent/pods";
import type { Runtime } from "#agent/runtime";
import { NodeShutdown, parsePeriods, type ShutdownOptions, systemdLogind } from "#agent/shutdown";
import { NodeStats } from "#agent/stats";
import { nodes, type Pod, type Service } from "#api";
import type { Clock, Log, Random } from "#base";
import type { Client } from "#client";
import { createRecorder } from "#events";
import { isOver } from "#kubelet";
import { type Component, type Running, startComponents } from "./components.ts";
import { type Csi, csiOf, heldOf, nodeFacts, podCgroups, podsContext } from "./kubelet-parts.ts";
import { NodePods, type StaticPodOptions } from "./node-pods.ts";
import { requestToken } from "./pod-api.ts";

export interface KubeletOptions {
  name: string;
  client: Client;
  runtime: Runtime;
  clock: Clock;
  random: Random;
  log: Log;
  /** The folder of volumes, logs and other state. */
  folder: string;
  /** Written to the node when it is created; see `range` for a node that is given its pod addresses. */
  podCidr?: string | undefined;
  /** The pod addresses that the cluster has given to the node. */
  range?: NodeOptions["range"];
  /** Services of a namespace, for pods' environments. */
  services: (namespace: string) => Service[];
  /** The cluster's DNS on this node; absent: pods use the host's servers. */
  dns?: NodeFacts["dns"];
  /** The file with the node's own DNS servers. Defaults to the host's. */
  resolvConf?: string | undefined;
  /** The server that the node dials for streams into pods; absent: none. */
  link?: { server: string; tls?: { ca: string; cert: string; key: string } } | undefined;
  /** Another such server, whose address may change, with the headers of a dial that it authorizes. */
  gateway?: GatewayOptions | undefined;
  /** Sets the server of connections that the API server has authorized and that arrive over relays. */
  relayed?: ((take: Upgrades["take"]) => void) | undefined;
  /** Whether the cluster knows otherwise than by its lease that the node is alive. */
  alive?: (() => boolean) | undefined;
  /** Repairs the pods' network and returns its state; absent where another component does. */
  networkState?: NodeOptions["networkState"];
  /** The parent of pods' cgroups. Defaults to `/kubepods`. */
  cgroupRoot?: string | undefined;
  /** No real containers: no volumes on the disk, no network to reach pods by, a node of a fixed size. */
  simulated: boolean;
  labels?: Record<string, string> | undefined;
  /** What is kept from pods, for the system and for the node's own programs. */
  reserved?: NodeReserved | undefined;
  /** How long pods have to end when the machine shuts down. Absent: shutdowns are not delayed. */
  shutdown?: ShutdownOptions | undefined;
  /** When pods are evicted. Defaults to `defaultThresholds`. */
  eviction?: EvictionThresholds | undefined;
  /** Pods that run without the API. */
  staticPods?: StaticPodOptions | undefined;
  /** The node's own credentials for images, where pods bring none. */
  registryCredentials?: PodsContext["registryCredentials"];
}

export interface EvictionThresholds {
  hard?: string | undefined;
  soft?: string | undefined;
  softGracePeriod?: string | undefined;
}

/** In the kubelet's form, such as `cpu=500m,memory=1Gi`. */
export interface NodeReserved {
  system?: string | undefined;
  kube?: string | undefined;
}

export interface GatewayOptions {
  /** Calls `found` with its address at each change; undefined while there is no gateway. */
  follow(found: (server: LinkServer | undefined) => void): { stop(): Promise<void> };
  headers(): Promise<Record<string, string>>;
}

/** One node: its registration, its pods, its links to servers. `ready` once it is registered and knows its pods. */
export type Kubelet = Running;

/** The longest pause between dials of a gateway: it may be gone for good. */
const gatewayBackoffMilliseconds = 60_000;

/** What kubectl and other clients show as the kubelet's version. */
const version = "v1.36.0+skiff";

/** The size of a simulated node, whatever the machine. */
const simulatedSize = { cpus: 32, memoryBytes: 256 * 2 ** 30 };

/** Starts the components of one node. The runtime is the caller's to close. */
export async function startKubelet(options: KubeletOptions): Promise<Kubelet> {
  const { name, client, clock, log, folder, simulated, staticPods = {} } = options;
  const metrics = kubeletMetrics(name, options.runtime, clock);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const facts = { ...(await hostFacts(folder)), ...(simulated ? simulatedSize : {}) };
  const kubelet: KubeletOptions = { ...options, runtime: metrics.runtime };
  const held = heldOf(kubelet, facts);
  const amounts = amountsOf(facts, held, mostPods);
  const tokens = podTokens({ ...options, request: (pod, asked) => requestToken(client, pod, asked) });
  const csi = simulated ? undefined : csiOf(kubelet, tokens);
  const context = podsContext(kubelet, await nodeFacts(kubelet, facts, amounts.allocatable), { tokens, csi });
  const nodePods = new NodePods({ context, client, folder, staticPods, fault: manifestFaults(kubelet) });
  const stats = nodeStats(kubelet, context, { nodePods, csi });
  const inVolumes = () => nodePods.list().flatMap(({ spec, status }) => (isOver(status?.phase) ? [] : imagesOf(spec)));
  const images = new ImageCollection({ runtime: kubelet.runtime, inVolumes, clock, log });
  const eviction = simulated ? undefined : evictions(kubelet, { stats, nodePods, images });
  const cgroups = podCgroups(kubelet, context, { nodePods, allocatable: amounts.enforced });
  context.cgroups = cgroups;
  // The node's next check of its status, once it runs.
  const hurry = { check: () => {} };
  const shutdown = shutdownOf(kubelet, nodePods, () => hurry.check());
  context.rejectUnderPressure = (pod) => eviction?.rejection(pod) ?? shutdown?.rejection();
  const linked: Omit<LinkOptions, "server"> = {
    node: name,
    runtime: metrics.runtime,
    ips: facts.ips,
    find: (namespace, pod) => nodePods.find(namespace, pod),
    list: () => nodePods.list(),
    clock,
    log,
    metrics: metrics.text,
    stats,
  };
  const components = [
    node(kubelet, facts, {
      held,
      pressures: () => eviction?.pressures ?? new Set(),
      shutsDown: () => shutdown?.isShuttingDown === true,
      hurry: (check) => {
        hurry.check = check;
      },
    }),
    ...(csi ? csi.components : []),
    ...(cgroups ? [background("cgroups of pods", (signal) => cgroups.run(signal))] : []),
    nodePods,
    ...(options.link ? [serverLink({ ...options.link, ...linked })] : []),
    ...(options.gateway ? [gatewayLink(options.gateway, linked)] : []),
    ...(options.relayed ? [relayedStreams(options.relayed, linked)] : []),
    ...(simulated ? [] : [background("check of resolv.conf", () => checkResolvConf(kubelet))]),
    ...(simulated ? [] : [background("image collection", (signal) => images.run(signal))]),
    ...(eviction ? [{ name: "eviction", start: () => eviction.start() }] : []),
    ...(shutdown ? [background("shutdown", (signal) => shutdown.run(signal))] : []),
  ];
  return startComponents(components, { log });
}

interface StatsParts {
  nodePods: NodePods;
  csi: Csi | undefined;
}

function nodeStats(kubelet: KubeletOptions, context: PodsContext, { nodePods, csi }: StatsParts): NodeStats {
  const { simulated, folder } = kubelet;
  const { node, runtime, volumes, clock } = context;
  return new NodeStats({
    ...{ node: node.name, runtime, clock, folder, simulated },
    startedAt: clock.now(),
    cgroupDriver: node.cgroupDriver,
    cgroupOf({ namespace, name, uid }) {
      const pod = nodePods.find(namespace, name);
      return pod?.metadata.uid === uid ? cgroupParentOf(pod, node.cgroupDriver, node.cgroupRoot) : undefined;
    },
    podFolder: (uid) => volumes.podFolder(uid),
    secretFolder: (uid) => volumes.secretFolder(uid),
    driverUsage: csi && ((volume) => csi.volumes.usage(volume)),
    logFolder: (metadata) => logDirectoryOf({ metadata, spec: { containers: [] } }, node),
  });
}

interface EvictionParts {
  stats: NodeStats;
  nodePods: NodePods;
  images: ImageCollection;
}

/** The longest grace period for soft thresholds, and how long a pressure is reported: the kubelet's defaults. */
const longestGraceSeconds = 0;
const transitionMilliseconds = 300_000;

function evictions(options: KubeletOptions, { stats, nodePods, images }: EvictionParts): EvictionManager {
  const { clock, log, folder, runtime, eviction = {} } = options;
  const { hard = defaultThresholds, soft = "", softGracePeriod = "" } = eviction;
  return new EvictionManager({
    ...{ clock, log, longestGraceSeconds, transitionMilliseconds },
    thresholds: [...parseThresholds(hard), ...parseSoftThresholds(soft, softGracePeriod)],
    observe: async () => observeHost(folder, (await runtime.info()).imageFilesystem?.mountpoint),
    sample: () => stats.sample(),
    disks: (pods) => stats.disks(pods),
    pods: () => nodePods.list().filter(({ status }) => !isOver(status?.phase)),
    evict: (pod, how) => nodePods.evict(pod, how),
    reclaimDisk: () => images.removeAll(),
    record: nodeEvents(options),
  });
}

/** The delay of the machine's shutdown; absent where none is configured. Throws an Error for a wrong configuration. */
function shutdownOf(options: KubeletOptions, nodePods: NodePods, changed: () => void): NodeShutdown | undefined {
  const { clock, log, simulated } = options;
  const periods = parsePeriods(options.shutdown ?? {});
  if (simulated || periods.length === 0) return undefined;
  const record = nodeEvents(options, "Normal");
  return new NodeShutdown({
    ...{ periods, clock, log, changed },
    logind: systemdLogind(),
    pods: () => nodePods.list().filter(({ status }) => !isOver(status?.phase)),
    end: (pod, how) => nodePods.evict(pod, how),
    record: (message) => record("NodeShutdown", message),
  });
}

/** The images of a pod's volumes. */
const imagesOf = (spec: Pod["spec"]): string[] => (spec?.volumes ?? []).flatMap(({ image }) => image?.reference ?? []);

/** Records a fault of the node's DNS settings as an event of the node, once, as the kubelet does at its start. */
async function checkResolvConf(options: KubeletOptions): Promise<void> {
  const fault = await resolvConfFault(options.dns !== undefined, options.resolvConf);
  if (fault !== undefined) nodeEvents(options)("CheckLimitsForResolvConf", fault);
}

/** Records faults of manifests as events of the node. */
function manifestFaults(options: KubeletOptions): (fault: ManifestFault) => void {
  const record = nodeEvents(options);
  return ({ place, message }) => record("InvalidStaticPod", `${place}: ${message}`);
}

/** Records events of the node. The kubelet's events name their node by its name in place of its uid. */
function nodeEvents(
  { name, client, clock, log }: KubeletOptions,
  type: "Normal" | "Warning" = "Warning",
): (reason: string, message: string) => void {
  const record = createRecorder({ client, clock, log, component: "kubelet", host: name });
  const object = { metadata: { name, uid: name } };
  return (reason, message) => record({ kind: nodes, object }, type, reason, message);
}

/** The node's registration, status and lease. */
function node(
  options: KubeletOptions,
  facts: HostFacts,
  status: Pick<NodeOptions, "held" | "pressures" | "shutsDown" | "hurry">,
): Component {
  const { name, client, runtime, clock, log, folder, podCidr, range, labels, alive, networkState } = options;
  const start = () =>
    startNode({
      name,
      client,
      runtime,
      clock,
      log,
      folder,
      version,
      podCidr,
      range,
      labels,
      alive,
      networkState,
      ...status,
      // A simulated machine does not change.
      facts: options.simulated ? async () => facts : undefined,
    });
  return { name: "node", start };
}

const serverLink = (options: LinkOptions): Component => ({ name: "link", start: () => new Link(options) });

/** A link to the gateway, wherever it is. */
const gatewayLink = ({ follow, headers }: GatewayOptions, linked: Omit<LinkOptions, "server">): Component => ({
  name: "gateway link",
  start: () => {
    const link = new MovingLink(
      ({ server, ca }) =>
        new Link({ ...linked, server, tls: { ca }, headers, longestBackoffMilliseconds: gatewayBackoffMilliseconds }),
    );
    const following = follow((server) => link.move(server));
    return {
      stop: async () => {
        await following.stop();
        await link.stop();
      },
    };
  },
});

/** Streams into pods that arrive over relays. */
const relayedStreams = (
  relayed: NonNullable<KubeletOptions["relayed"]>,
  linked: Omit<LinkOptions, "server">,
): Component => ({
  name: "relayed streams",
  start: () => {
    const upgrades = upgradeServer(linked);
    relayed(upgrades.take);
    return { stop: () => upgrades.close() };
  },
});

/** Work that runs until its signal aborts. */
const background = (name: string, run: (signal: AbortSignal) => Promise<void>): Component => ({
  name,
  start: () => {
    const stopping = new AbortController();
    const running = run(stopping.signal);
    return {
      stop: async () => {
        stopping.abort();
        await running;
      },
    };
  },
});
