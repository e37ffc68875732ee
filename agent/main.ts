import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { nodeRange } from "#agent/node";
import type { Runtime } from "#agent/runtime";
import { containerdRuntime } from "#agent/runtime/containerd";
import {
  keepPrivate,
  lookAfterBridge,
  namedAfter,
  parseMirrors,
  startPrivate,
} from "#agent/runtime/containerd/private";
import { fakeRuntime } from "#agent/runtime/fake";
import { type Service, services } from "#api";
import { type Log, type LogFields, messageOf, plainFields, sleep, systemClock, systemRandom } from "#base";
import { type HttpClient, httpClient, startInformer } from "#client";
import { type AgentConfig, podCidrOf, readConfig } from "./config.ts";
import { type Kubelet, type KubeletOptions, startKubelet } from "./kubelet.ts";

/*
 * The agent as a process: `node agent/main.ts --config FILE`. It runs until it is told to stop (SIGTERM, SIGINT) or its
 * parent has gone; containers run on and are found again by the next one.
 */

// The output is a file on a disk that may be full: what cannot be written is lost, and nothing else.
for (const output of [process.stdout, process.stderr]) output.on("error", () => {});

/** One line of JSON for each message, on the standard output. */
function lineLog(verbose: boolean): Log {
  const write =
    (level: string) =>
    (message: string, fields: LogFields = {}): void => {
      const time = new Date(systemClock.now()).toISOString();
      process.stdout.write(`${JSON.stringify({ time, level, message, ...plainFields(fields) })}\n`);
    };
  const quiet = (): void => {};
  return { debug: verbose ? write("debug") : quiet, info: write("info"), warn: write("warn"), error: write("error") };
}

/** Nodes that are started at once: more would only wait for one another. */
const startedAtOnce = 32;
const parentMilliseconds = 1000;

async function openRuntime(
  config: AgentConfig,
  index: number,
  podCidr: string,
  log: Log,
  stopping: AbortSignal,
): Promise<Opened> {
  if (config.runtime === "fake") return { runtime: fakeRuntime({ clock: systemClock, podCidr }) };
  const { name = "" } = config.nodes[index] ?? {};
  const open = (socket: string): Runtime => containerdRuntime({ socket, owner: name, clock: systemClock, log });
  if (config.containerdSocket !== undefined) return { runtime: open(config.containerdSocket) };
  const own = config.network ?? namedAfter(name);
  const network = { name: own.name, bridge: own.bridge, podCidr, masquerade: true };
  const options = {
    folder: join(config.dataDir, "containerd"),
    network,
    mirrors: parseMirrors(config.registryMirrors),
    log,
  };
  const { socket } = await startPrivate(options);
  void keepPrivate(options, systemClock, stopping);
  // On AWS the cluster's routes are what a node's network depends on, and their controller reports them.
  const networkState = config.network ? () => lookAfterBridge(network, log) : undefined;
  return { runtime: open(socket), ...(networkState ? { networkState } : {}) };
}

interface Opened {
  runtime: Runtime;
  networkState?: NonNullable<KubeletOptions["networkState"]>;
}

/** How this process reaches its cluster: a client for each node, and on AWS what takes the lease's place. */
async function reach(config: AgentConfig, log: Log): Promise<Reached> {
  const { server, region, link } = config;
  const ca = config.ca === undefined ? {} : { ca: config.ca };
  if (config.sigv4 && region !== undefined && link !== undefined) {
    // Elsewhere nothing of it need be loaded.
    const { shipLogs, startAws } = await import("#agent/aws");
    const gateway = config.gateway ? { gateway: config.gateway } : {};
    const aws = startAws({ server, region, link, ...ca, ...gateway, clock: systemClock, random: systemRandom, log });
    const group = config.podLogGroup;
    const ship = (runtime: Runtime, folder: string) =>
      group === undefined ? undefined : shipLogs({ runtime, region, group, folder, clock: systemClock, log });
    const way = aws.gateway ? { gateway: aws.gateway } : {};
    const { client, alive, serve: relayed, registryCredentials, stop: close } = aws;
    return { clients: [client], alive, relayed, ...way, registryCredentials, ship, close };
  }
  const clients = config.nodes.map(({ certificate }) =>
    httpClient({ server, ...ca, ...(certificate ? { certificate } : {}), userAgent: "skiff-agent" }),
  );
  const close = async () => {
    for (const client of clients) client.close();
  };
  return { clients, close };
}

async function run(config: AgentConfig, log: Log, stopping: AbortSignal): Promise<void> {
  const { clients, alive, relayed, gateway, registryCredentials, ship, close } = await reach(config, log);
  const [first] = clients;
  if (!first) return;
  // One view of the services for all nodes of the process.
  const known = startInformer<Service>({ client: first, kind: services, clock: systemClock, log });
  const servicesOf = (namespace: string): Service[] =>
    [...known.all()].filter(({ metadata }) => metadata.namespace === namespace);
  const kubelets: Kubelet[] = [];
  const runtimes: Runtime[] = [];
  const shipping: Stoppable[] = [];
  const failed = Promise.withResolvers<never>();
  const changed = (podCidr: string) =>
    failed.reject(new Error(`the node's part of the pod addresses is now ${podCidr}: it begins anew`));
  const start = async (index: number): Promise<void> => {
    const { name, certificate } = config.nodes[index]!;
    const client = clients[index]!;
    const folder = config.nodes.length === 1 ? config.dataDir : join(config.dataDir, "nodes", name);
    const labels = config.labels ? { labels: config.labels } : {};
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const place = { name, client, clock: systemClock, log, folder, ...labels };
    const podCidr =
      config.podCidr === undefined ? await nodeRange({ ...place, signal: stopping }) : podCidrOf(config.podCidr, index);
    if (podCidr === undefined) return;
    const { runtime, networkState } = await openRuntime(config, index, podCidr, log, stopping);
    runtimes.push(runtime);
    if (stopping.aborted) return;
    const shipped = ship?.(runtime, folder);
    if (shipped) shipping.push(shipped);
    const kubelet = await startKubelet({
      ...place,
      runtime,
      random: systemRandom,
      ...(config.podCidr === undefined ? { range: { podCidr, changed } } : { podCidr }),
      services: servicesOf,
      ...(certificate ? { link: { server: config.server, tls: { ca: config.ca ?? "", ...certificate } } } : {}),
      ...(alive ? { alive } : {}),
      ...(networkState ? { networkState } : {}),
      ...(config.network ? { cgroupRoot: config.network.cgroupRoot } : {}),
      ...(relayed ? { relayed } : {}),
      ...(gateway ? { gateway } : {}),
      ...(registryCredentials ? { registryCredentials } : {}),
      real: config.runtime !== "fake",
    });
    kubelets.push(kubelet);
    await Promise.race([kubelet.ready, aborted(stopping)]);
  };
  const startAll = async (): Promise<void> => {
    await Promise.race([known.ready, aborted(stopping)]);
    for (let at = 0; at < config.nodes.length && !stopping.aborted; at += startedAtOnce) {
      const batch = config.nodes.slice(at, at + startedAtOnce).map((_, offset) => start(at + offset));
      await Promise.all(batch);
    }
    if (!stopping.aborted) log.info("the agent is ready", { nodes: config.nodes.length });
    await aborted(stopping);
  };
  try {
    await Promise.race([startAll(), failed.promise]);
  } finally {
    await Promise.all([known, ...kubelets, ...shipping].map((each) => each.stop()));
    await Promise.all(runtimes.map((runtime) => runtime.close()));
    await close();
  }
}

interface Reached {
  clients: HttpClient[];
  alive?: () => boolean;
  /** Says who serves what clients are allowed to ask of the node. */
  relayed?: KubeletOptions["relayed"];
  gateway?: KubeletOptions["gateway"];
  registryCredentials?: NonNullable<KubeletOptions["registryCredentials"]>;
  /** Sends containers' logs to where the cluster's people read them, where that is not the node itself. */
  ship?: (runtime: Runtime, folder: string) => Stoppable | undefined;
  close(): Promise<void>;
}

interface Stoppable {
  stop(): Promise<void>;
}

const aborted = (signal: AbortSignal): Promise<void> =>
  signal.aborted
    ? Promise.resolve()
    : new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));

/** Stops with the process that started this one. */
async function watchParent(parent: number, stop: AbortController): Promise<void> {
  while (!stop.signal.aborted) {
    if (process.ppid !== parent) stop.abort();
    await sleep(systemClock, parentMilliseconds, stop.signal);
  }
}

const { values } = parseArgs({ options: { config: { type: "string" } } });
if (values.config === undefined) {
  process.stderr.write("usage: node agent/main.ts --config FILE\n");
  process.exit(2);
}
const config = await readConfig(values.config).catch((error: unknown) => {
  process.stderr.write(`skiff: ${messageOf(error)}\n`);
  process.exit(2);
});
const log = lineLog(config.verbose === true);
// A promise that its owner has let go of costs what it was about, not the agent.
process.on("unhandledRejection", (error) => {
  const stack = error instanceof Error ? error.stack : "";
  log.error("a fault of the agent was contained", { error: messageOf(error), stack });
});
const stop = new AbortController();
/** What an end in order may take: a step of the start may not notice that it is not wanted any more. Milliseconds. */
const longestEnd = 9000;
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) process.once(signal, () => stop.abort());
stop.signal.addEventListener("abort", () => systemClock.timer(longestEnd, () => process.exit(1)), { once: true });
if (config.parent !== undefined) void watchParent(config.parent, stop);
try {
  await run(config, log, stop.signal);
  // Sockets that wait for a peer must not hold the process.
  process.exit(0);
} catch (error) {
  log.error("the agent cannot go on", { error: messageOf(error), stack: error instanceof Error ? error.stack : "" });
  process.exit(1);
}
