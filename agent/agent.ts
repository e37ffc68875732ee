import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Redirects } from "#agent/network";
import { waitForPodCidr } from "#agent/node";
import { aborted, type Log, systemClock, systemRandom } from "#base";
import { apiInPods } from "./api-in-pods.ts";
import { accessCluster, type ClusterAccess } from "./cluster-access.ts";
import { ClusterDns } from "./cluster-dns.ts";
import { type Component, type Running, startComponents } from "./components.ts";
import { type AgentConfig, podCidrOf } from "./config.ts";
import { startKubelet } from "./kubelet.ts";
import { nodeRoutes } from "./node-routes.ts";
import { type NodeRuntime, openRuntime } from "./runtimes.ts";
import { ServiceList } from "./service-list.ts";
import { serviceProxy } from "./service-proxy.ts";

/** Nodes that are started at once: more would only wait for one another. */
const nodesAtOnce = 32;

/** What the nodes of one process have in common. */
interface Shared {
  config: AgentConfig;
  access: ClusterAccess;
  services: ServiceList;
  log: Log;
  /** Aborts when the agent stops or has failed. */
  signal: AbortSignal;
  /** Ends the agent with this error. */
  fail(error: unknown): void;
}

/**
 * Runs the nodes of the configuration until the signal aborts; then everything is stopped, and containers run on.
 * Rejects when a node cannot be started, and when the cluster gives a node another range of pod addresses.
 */
export async function runAgent(config: AgentConfig, log: Log, stopping: AbortSignal): Promise<void> {
  const access = await accessCluster(config, log);
  const [client] = access.clients;
  if (!client) return;
  const failed = new AbortController();
  const signal = AbortSignal.any([stopping, failed.signal]);
  const fail = (error: unknown): void => {
    if (!stopping.aborted) failed.abort(error);
  };
  const services = new ServiceList({ client, log, withSlices: config.runtime !== "fake", signal });
  const components: Component[] = [
    { name: "cluster access", start: () => ({ stop: () => access.close() }) },
    services,
    { name: "nodes", start: () => startNodes({ config, access, services, log, signal, fail }) },
  ];
  const running = await startComponents(components, { log, signal });
  if (!signal.aborted) log.info("the agent is ready", { nodes: config.nodes.length });
  await aborted(signal);
  await running.stop();
  failed.signal.throwIfAborted();
}

/** Starts all nodes, some at once. A node that cannot be started ends the agent. */
async function startNodes(shared: Shared): Promise<Running> {
  const { nodes } = shared.config;
  const { signal } = shared;
  const started: Running[] = [];
  const start = async (index: number): Promise<void> => {
    const node = await startNode(shared, index);
    if (!node) return;
    started.push(node);
    await Promise.race([node.ready, aborted(signal)]);
  };
  for (let at = 0; at < nodes.length && !signal.aborted; at += nodesAtOnce) {
    const batch = nodes.slice(at, at + nodesAtOnce).map((_, offset) => start(at + offset).catch(shared.fail));
    await Promise.all(batch);
  }
  return {
    stop: async () => {
      await Promise.all(started.map((node) => node.stop()));
    },
  };
}

/** Starts one node: its runtime, its log shipping, its DNS and its kubelet. Undefined when the signal aborts before. */
async function startNode({ config, access, services, log, signal, fail }: Shared, index: number) {
  const { name, certificate } = config.nodes[index]!;
  const client = access.clients[index]!;
  const { labels, network, server, ca = "" } = config;
  const folder = config.nodes.length === 1 ? config.dataDir : join(config.dataDir, "nodes", name);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const shared = { name, client, clock: systemClock, log, folder, labels };
  const podCidr =
    config.podCidr === undefined ? await waitForPodCidr({ ...shared, signal }) : podCidrOf(config.podCidr, index);
  if (podCidr === undefined) return undefined;
  const changed = (next: string): void =>
    fail(new Error(`the node's range of pod addresses is now ${next}: the agent has to start again`));
  const redirects = new Redirects();
  let opened: NodeRuntime;
  let dns: ClusterDns | undefined;
  const { shipLogs, alive, relayed, gateway, registryCredentials } = access;
  const components: Component[] = [
    {
      name: "runtime",
      start: async () => {
        opened = await openRuntime({ config, name, podCidr, log, stopping: signal });
        return { stop: () => opened.runtime.close() };
      },
    },
    ...(config.runtime === "fake"
      ? []
      : [
          serviceProxy({ ...shared, config, podCidr, gateway: () => opened.gateway, services, redirects, signal }),
          nodeRoutes({ ...shared, config, signal }),
        ]),
    ...(shipLogs ? [{ name: "log shipping", start: () => shipLogs(opened.runtime, folder) }] : []),
    apiInPods({ ...shared, config, gateway: () => opened.gateway, services, redirects }),
    {
      name: "cluster DNS",
      start: () => {
        if (opened.gateway === undefined) return { stop: () => {} };
        const address = opened.gateway;
        const { resolvConf } = config;
        dns = new ClusterDns({ ...shared, services, address, random: systemRandom, redirects, signal, resolvConf });
        return dns.start();
      },
    },
    {
      name: "kubelet",
      start: () =>
        startKubelet({
          ...shared,
          runtime: opened.runtime,
          random: systemRandom,
          ...(config.podCidr === undefined ? { range: { podCidr, changed } } : { podCidr }),
          services: (namespace) => services.inNamespace(namespace),
          ...(dns ? { dns } : {}),
          resolvConf: config.resolvConf,
          link: certificate && { server, tls: { ca, ...certificate } },
          alive,
          networkState: opened.networkState,
          cgroupRoot: network?.cgroupRoot,
          relayed,
          gateway,
          registryCredentials,
          staticPods: config.staticPods,
          eviction: config.eviction,
          reserved: config.reserved,
          shutdown: config.shutdown,
          simulated: config.runtime === "fake",
        }),
    },
  ];
  return startComponents(components, { log, signal });
}
