import { hostname, networkInterfaces } from "node:os";
import { join } from "node:path";
import { isPodInterface } from "#agent/overlay";
import { gatewayOf } from "#agent/runtime/containerd/private";
import { apiServerNames, type Node, nodes } from "#api";
import { tokenAuthority } from "#auth/service-account";
import { type Log, type Progress, sleep, systemClock, systemRandom } from "#base";
import type { Client } from "#client";
import { allowJoining, ControlPlane } from "#controlplane";
import { createLinks, type Host, serve } from "#hosts/https";
import { MetricRegistry } from "#metrics";
import { processMetrics } from "#metrics/process";
import { sqliteStore } from "#store/sqlite";
import { type AgentProcess, machineSettings, networkSettings, startAgent } from "./agent-process.ts";
import { openAuditLog } from "./audit-log.ts";
import { type DataFolder, dataFolder, lockFolder, Refusal } from "./data-folder.ts";
import { Disk } from "./disk.ts";
import { adminKubeconfig, writeKubeconfig } from "./kubeconfig.ts";
import { fileLog } from "./log.ts";
import { checkMachine, prepareRules } from "./machine.ts";
import { readMembership } from "./membership.ts";
import { type ClusterNetwork, checkBlocks, claimNetwork, defaultBlock, defaultServiceBlock } from "./network.ts";
import { nodeName } from "./node-name.ts";
import type { UpOptions } from "./options.ts";
import { openPki, type Pki } from "./pki.ts";
import { aborted, type Stack, untilSignal } from "./running.ts";
import { chooseRuntime } from "./runtime.ts";
import { signingKeys } from "./signing-keys.ts";

/** The issuer of service accounts' tokens: the API as pods know it. */
const issuer = "https://kubernetes.default.svc.cluster.local";

/** Milliseconds after which up() reports that the nodes are not ready; it continues to wait. */
const readyTimeout = 60_000;

/** `skiff up`: runs a cluster until a signal ends it, with this program as the agent. Resolves with the exit code. */
export function up(options: UpOptions, program: string, progress: Progress): Promise<number> {
  return untilSignal(options, progress, (signal) => run(options, program, progress, signal));
}

async function run(options: UpOptions, program: string, progress: Progress, signal: AbortSignal): Promise<void> {
  checkOptions(options);
  const folder = dataFolder(options.dataDir);
  const opened: Stack = [];
  try {
    progress.step("opening the data folder");
    const lock = lockFolder(folder);
    opened.push(() => lock.release());
    const member = readMembership(folder);
    if (member) throw new Refusal(`${folder.root} is a node's of ${member.server}: choose another --data-dir`);
    const disk = new Disk(folder);
    progress.done(folder.root);
    if (disk.full) progress.note(`  ${disk.trouble}`);
    const runtime = await chooseRuntime(options, progress);
    // Another containerd has its own network, and simulated pods have none.
    const isOwn = runtime === "docker" || (runtime === "containerd" && options.containerdSocket === undefined);
    const log = fileLog(folder.logs, "control-plane", options.verbose);
    opened.push(() => log.close());
    const network = isOwn ? claimNetwork(folder, options, log) : undefined;
    const serviceCidr = network?.serviceCidr ?? options.serviceCidr ?? defaultServiceBlock;
    if (runtime !== "fake") await prepareRules(options, log);
    disk.reportTo(log);
    if (signal.aborted) return;
    const { plane, pki, server } = await startControlPlane(
      { options, serviceCidr, network, folder, disk, log },
      progress,
      opened,
    );
    if (signal.aborted) return;
    const names = nodeNames(options);
    progress.step(`starting the agent (${runtime})`);
    const since = new Date(systemClock.now()).toISOString();
    const agent = await startAgent({
      program,
      folder,
      runtime,
      settings: {
        server,
        ca: pki.ca,
        nodes: await nodeIdentities(pki, names),
        podCidr: network?.podCidr ?? options.podCidr ?? defaultBlock,
        ...(network ? networkSettings(network) : {}),
        ...(network && reachable(options.bind) !== undefined ? { overlay: options.overlay } : {}),
        serviceCidr,
        ...machineSettings(options),
      },
      log,
      launched: (pid) => lock.tell({ pid: process.pid, agent: pid, server, runtime, nodes: names, since }),
    });
    opened.push(() => agent.stop());
    await nodesReady({ client: plane.client, names, agent, folder, since }, progress, signal);
    if (signal.aborted) return;
    progress.done();
    sayReady(progress, folder, server, names);
    await aborted(signal);
    progress.step("stopping the cluster");
  } finally {
    for (const close of opened.reverse()) await close();
    if (signal.aborted) progress.done("(containers keep running; skiff down removes them)");
  }
}

function checkOptions(options: UpOptions): void {
  const { nodes: count, runtime, podCidr, serviceCidr } = options;
  checkBlocks({ podCidr, serviceCidr });
  if (count > 1 && runtime !== "fake")
    throw new Refusal(`--nodes ${count} needs --runtime fake: one machine is one node`);
  if (count > 1 && options.staticPodPort !== undefined)
    throw new Refusal("--static-pod-port is only possible with one node");
  checkMachine(options);
}

function nodeNames({ nodes: count, nodeName: given }: UpOptions): string[] {
  const own = given ?? nodeName();
  if (count === 1) return [own];
  return Array.from({ length: count }, (_, index) => `${own}-${index}`);
}

const nodeIdentities = (pki: Pki, names: readonly string[]) =>
  Promise.all(
    names.map(async (name) => {
      const subject = { commonName: `system:node:${name}`, organizations: ["system:nodes"] };
      return { name, certificate: await pki.client(`node-${name}`, subject) };
    }),
  );

interface PlaneStart {
  options: UpOptions;
  /** Addresses of the cluster's services. */
  serviceCidr: string;
  /** Absent where the agent has no pod network of its own. */
  network: ClusterNetwork | undefined;
  folder: DataFolder;
  disk: Disk;
  log: Log;
}

async function startControlPlane(
  { options, serviceCidr, network, folder, disk, log }: PlaneStart,
  progress: Progress,
  opened: Stack,
): Promise<{ plane: ControlPlane; pki: Pki; server: string }> {
  progress.step("starting the control plane");
  const pki = await openPki(folder.pki);
  const keys = signingKeys(folder.pki);
  const store = sqliteStore({ path: folder.store, exclusive: true, room: disk.room() });
  opened.push(() => store.close());
  const audit = options.auditLog === undefined ? undefined : openAuditLog(options.auditLog, log);
  if (audit) opened.push(() => audit.close());
  const links = createLinks(log, systemClock);
  const endpoint = endpointOf(options, network);
  const address = reachable(options.bind);
  const podCidr = network?.podCidr ?? options.podCidr ?? defaultBlock;
  const metrics = new MetricRegistry();
  processMetrics(metrics);
  const plane = new ControlPlane({
    metrics,
    store,
    clock: systemClock,
    random: systemRandom,
    log,
    links: () => links,
    serviceCidr,
    ca: pki.ca,
    sign: pki.sign,
    bootstrapTokens: true,
    // This machine's nodes report their own parts; machines that join get others.
    ...(address === undefined ? {} : { podCidr }),
    checks: {
      disk: () => {
        if (disk.full) throw new Error(disk.trouble);
      },
    },
    tokens: (client) => tokenAuthority({ keys, issuer, client, clock: systemClock, random: systemRandom }),
    caching: "live",
    ...(audit ? { audit: audit.write } : {}),
    ...(endpoint ? { endpoint } : {}),
  });
  const tls = await pki.server(serverNames(options, serviceCidr));
  const host = await listen(options, { server: plane.server, links, log, tls: { ...tls, ca: pki.ca } });
  opened.push(() => host.close());
  opened.push(() => plane.stop());
  // With --port 0 the port is known from here on; the control plane writes its endpoint when it starts.
  if (endpoint && address !== undefined) endpoint.port = host.port;
  await plane.start();
  const server = urlOf(options.bind === "0.0.0.0" ? "127.0.0.1" : options.bind, host.port);
  if (address !== undefined) {
    await allowJoining(plane.client, { server: urlOf(address, host.port), ca: pki.ca, podCidr, serviceCidr });
  }
  const admin = await pki.client("admin", { commonName: "kubernetes-admin", organizations: ["system:masters"] });
  writeKubeconfig(folder.kubeconfig, adminKubeconfig(server, pki.ca, admin));
  progress.done(server);
  return { plane, pki, server };
}

/** The agent's relay listens here when the port is free (agent/api-relay.ts). */
const relayPort = 6443;

/** Where clients in pods find the API: the server, or the agent's relay where it listens on the loopback only. */
function endpointOf({ bind, port }: UpOptions, network: ClusterNetwork | undefined) {
  const address = reachable(bind);
  if (address !== undefined) return { address, port };
  return network && { address: gatewayOf(network.podCidr).address, port: relayPort };
}

/** The address at which other machines reach a server with this bind address; undefined for the loopback. */
function reachable(bind: string): string | undefined {
  if (bind.startsWith("127.") || bind === "::1" || bind === "localhost") return undefined;
  if (bind !== "0.0.0.0" && bind !== "::") return bind;
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    if (isPodInterface(name)) continue;
    const found = addresses?.find(({ family, internal }) => family === "IPv4" && !internal);
    if (found) return found.address;
  }
  return undefined;
}

const urlOf = (address: string, port: number): string =>
  `https://${address.includes(":") ? `[${address}]` : address}:${port}`;

function serverNames({ bind }: UpOptions, serviceCidr: string): string[] {
  const service = serviceCidr.split("/")[0]!.replace(/\d+$/, (last) => String(Number(last) + 1));
  const own = reachable(bind);
  const bound = bind === "0.0.0.0" || bind === "::" ? [] : [bind];
  return [
    ...new Set([
      "localhost",
      "127.0.0.1",
      ...bound,
      ...(own ? [own] : []),
      hostname().toLowerCase(),
      service,
      ...apiServerNames,
    ]),
  ];
}

async function listen(options: UpOptions, rest: Omit<Parameters<typeof serve>[0], "bind" | "port">): Promise<Host> {
  try {
    return await serve({ ...rest, bind: options.bind, port: options.port });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const where = `${options.bind}:${options.port}`;
    if (code === "EADDRINUSE") throw new Refusal(`${where} is taken by another program: choose another --port`);
    if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND")
      throw new Refusal(`--bind ${options.bind} is not an address of this machine`);
    if (code === "EACCES") throw new Refusal(`${where} needs more rights: choose a --port from 1024 on`);
    throw error;
  }
}

interface NodesWait {
  client: Client;
  names: readonly string[];
  agent: AgentProcess;
  folder: DataFolder;
  /** When the agent was started, as an ISO date. */
  since: string;
}

/**
 * Whether an agent that was started at `since` has reported its node Ready; an earlier agent's report does not count.
 */
export function isReadySince({ status }: Node, since: string): boolean {
  const ready = status?.conditions?.find(({ type }) => type === "Ready");
  // Objects store whole seconds.
  return ready?.status === "True" && (ready.lastHeartbeatTime ?? "").slice(0, 19) >= since.slice(0, 19);
}

async function nodesReady(
  { client, names, agent, folder, since }: NodesWait,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const waiting = new Set(names);
  const started = systemClock.now();
  let said = false;
  while (waiting.size > 0 && !signal.aborted) {
    const { items } = await client.list(nodes);
    for (const node of items) {
      if (isReadySince(node, since)) waiting.delete(node.metadata.name ?? "");
    }
    if (waiting.size === 0) return;
    if (agent.failed !== undefined)
      throw new Refusal(`the agent does not start: ${agent.failed} (see ${join(folder.logs, "agent.log")})`);
    if (!said && systemClock.now() - started > readyTimeout) {
      said = true;
      progress.note(`  ${[...waiting].slice(0, 3).join(", ")} not ready yet; see ${join(folder.logs, "agent.log")}`);
    }
    await sleep(systemClock, 20, signal);
  }
}

function sayReady(progress: Progress, folder: DataFolder, server: string, names: readonly string[]): void {
  const what = names.length === 1 ? `node ${names[0]}` : `${names.length} nodes`;
  progress.note(`\nSkiff is ready after ${(process.uptime()).toFixed(1)} s: ${server}, ${what}.\n`);
  progress.note(`  export KUBECONFIG=${folder.kubeconfig}`);
  progress.note("  kubectl get nodes");
  progress.note("  kubectl create deployment web --image=nginx --replicas=3\n");
  progress.note("Ctrl-C stops the control plane and the agent.");
}
