import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import {
  type Link,
  type LinkOptions,
  movingLink,
  type Place,
  startLink,
  type Upgrades,
  upgradeServer,
} from "#agent/link";
import { kubeletMetrics } from "#agent/metrics";
import { type HostFacts, hostFacts, type NodeAgent, type NodeOptions, startNode } from "#agent/node";
import {
  collectImages,
  type NodeFacts,
  noVolumes,
  type PodApi,
  PodManager,
  type PodsContext,
  podTokens,
  podVolumes,
  type TokenAsked,
} from "#agent/pods";
import type { Runtime } from "#agent/runtime";
import {
  configMaps,
  type Pod,
  pods,
  type Secret,
  type Service,
  secrets,
  serviceAccounts,
  type TokenRequest,
} from "#api";
import { type Clock, isReason, type Log, parseTime, type Random } from "#base";
import { type Client, startInformer } from "#client";
import { createRecorder } from "#events";

export interface KubeletOptions {
  name: string;
  client: Client;
  runtime: Runtime;
  clock: Clock;
  random: Random;
  log: Log;
  /** Volumes, logs and the like lie here. */
  folder: string;
  /** Told when the node is made; without it, `range`. */
  podCidr?: string;
  /** What the cluster has given it, and who hears when that changes. */
  range?: NodeOptions["range"];
  /** Services of a namespace, as pods' environments tell of them. */
  services: (namespace: string) => Service[];
  /** Where streams into pods come from; nowhere unless given. */
  link?: { server: string; tls?: { ca: string; cert: string; key: string } };
  /** Another such place, which comes, moves and goes, and lets in whom these headers of a dial name. */
  gateway?: {
    follow(found: (place: Place | undefined) => void): { stop(): Promise<void> };
    headers(): Promise<Record<string, string>>;
  };
  /** The same, where no connection is upgraded: hears who takes connections that have been allowed. */
  relayed?: (take: Upgrades["take"]) => void;
  /** Whether the cluster hears in another way than by its lease that the node lives. */
  alive?: () => boolean;
  /** Looks after the pods' network, and says how it is; absent where something else does. */
  networkState?: NonNullable<NodeOptions["networkState"]>;
  /** Where pods' cgroups lie; `/kubepods` without it. */
  cgroupRoot?: string;
  /** Real containers with volumes on the disk and a network to reach them by; false for played ones. */
  real: boolean;
  labels?: Record<string, string>;
  /** What the node itself pulls images with, where pods bring nothing. */
  registryCredentials?: NonNullable<PodsContext["registryCredentials"]>;
}

/** One node at work: its registration, its pods, its link to the server. */
export interface Kubelet {
  /** Resolves once the node is registered and knows its pods. */
  ready: Promise<void>;
  stop(): Promise<void>;
}

/** The longest pause between dials of a gateway: it may be gone for good. */
const gatewayBackoff = 60_000;

/** What kubectl and other clients show as the kubelet's version. */
const version = "v1.36.0+skiff";

/** A played node is this large, whatever the machine. */
const playedFacts = async (folder: string): Promise<HostFacts> => ({
  ...(await hostFacts(folder)),
  cpus: 32,
  memoryBytes: 256 * 2 ** 30,
  memoryAvailableBytes: 256 * 2 ** 30,
});

export async function startKubelet(options: KubeletOptions): Promise<Kubelet> {
  const { name, client, clock, random, log, folder, real } = options;
  const metrics = kubeletMetrics(name, options.runtime, clock);
  const { runtime } = metrics;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const facts = real ? await hostFacts(folder) : await playedFacts(folder);
  const info = await runtime.info();
  const node: NodeFacts = {
    name,
    ips: facts.ips,
    allocatable: { cpu: String(facts.cpus), memory: String(facts.memoryBytes) },
    memoryBytes: facts.memoryBytes,
    runtimeName: info.name,
    cgroupDriver: info.cgroupDriver,
    cgroupRoot: rootFor(info.cgroupDriver, options.cgroupRoot ?? "/kubepods"),
    logFolder: join(folder, "logs"),
    reachable: real,
  };
  const api = podApi(client, options.services);
  const record = createRecorder({ client, clock, log, component: "kubelet", host: name });
  const volumes = real
    ? podVolumes({
        folder: join(folder, "pods"),
        memory: true,
        configMap: api.configMap,
        secret: api.secret,
        host: { ips: facts.ips },
        allocatable: node.allocatable,
        tokens: podTokens({ request: (pod, asked) => requestToken(client, pod, asked), clock, random, log }),
      })
    : noVolumes();
  const manager = new PodManager({
    node,
    runtime,
    volumes,
    api,
    clock,
    random,
    log,
    ...(options.registryCredentials ? { registryCredentials: options.registryCredentials } : {}),
    record: (pod, type, reason, message, fieldPath) =>
      record({ kind: pods, object: pod, ...(fieldPath === undefined ? {} : { fieldPath }) }, type, reason, message),
  });
  const registered: NodeAgent = startNode({
    name,
    client,
    runtime,
    clock,
    log,
    folder,
    version,
    ...(options.podCidr === undefined ? {} : { podCidr: options.podCidr }),
    ...(options.range ? { range: options.range } : {}),
    ...(options.alive ? { alive: options.alive } : {}),
    ...(options.networkState ? { networkState: options.networkState } : {}),
    ...(options.labels ? { labels: options.labels } : {}),
    // What is played does not change.
    ...(real ? {} : { facts: async () => facts }),
  });
  const informer = startInformer<Pod>({
    client,
    kind: pods,
    clock,
    log,
    fields: [{ field: "spec.nodeName", equal: true, value: name }],
    changed: ({ type, object }) => {
      if (type === "DELETED") manager.delete(object.metadata.uid ?? "");
      else manager.set(object);
    },
  });
  const find = (namespace: string, pod: string) =>
    manager.find(namespace, pod) ?? informer.get({ namespace, name: pod });
  const linked = { node: name, runtime, find, clock, log, metrics: metrics.text };
  const link: Link | undefined = options.link && startLink({ ...options.link, ...linked });
  const gateway = options.gateway && gatewayLink(options.gateway, linked);
  const upgrades = options.relayed && upgradeServer({ node: name, runtime, find, log });
  if (upgrades) options.relayed?.(upgrades.take);
  const stopping = new AbortController();
  const collecting = real ? collectImages({ runtime, clock, log }, stopping.signal) : Promise.resolve();
  const known = informer.ready.then(() => {
    if (!stopping.signal.aborted) manager.synced();
  });
  return {
    ready: Promise.all([registered.ready, known]).then(() => {}),
    stop: async () => {
      stopping.abort();
      upgrades?.close();
      await Promise.all([
        link?.stop(),
        gateway?.stop(),
        informer.stop(),
        manager.stop(),
        registered.stop(),
        collecting,
      ]);
    },
  };
}

/** systemd spells a tree as one name. */
const rootFor = (driver: NodeFacts["cgroupDriver"], root: string): string =>
  driver === "systemd" ? root.slice(1) : root;

/** A link to where the gateway is. */
function gatewayLink(
  { follow, headers }: NonNullable<KubeletOptions["gateway"]>,
  linked: Omit<LinkOptions, "server">,
): { stop(): Promise<void> } {
  const link = movingLink(({ server, ca }) =>
    startLink({ ...linked, server, tls: { ca }, headers, longestBackoff: gatewayBackoff }),
  );
  const following = follow(link.move);
  return {
    async stop() {
      await following.stop();
      await link.stop();
    },
  };
}

/** The API as pods use it, over the client port. */
function podApi(client: Client, services: (namespace: string) => Service[]): PodApi {
  const unlessMissing = async <T>(getting: Promise<T>): Promise<T | undefined> => {
    try {
      return await getting;
    } catch (error) {
      if (isReason(error, "NotFound")) return undefined;
      throw error;
    }
  };
  return {
    updateStatus: (pod) => client.update(pods, pod, { subresource: "status" }),
    get: (namespace, name) => client.get(pods, { namespace, name }),
    remove: async ({ metadata }) => {
      const { namespace, name = "", uid } = metadata;
      await client.remove(pods, { namespace, name }, { uid, gracePeriodSeconds: 0 });
    },
    configMap: (namespace, name) => unlessMissing(client.get(configMaps, { namespace, name })),
    secret: (namespace, name) => unlessMissing<Secret>(client.get(secrets, { namespace, name })),
    services: async (namespace) => services(namespace),
  };
}

/** A token of the pod's account that ends with the pod. */
async function requestToken(
  client: Client,
  { metadata, spec }: Pod,
  { audience, expirationSeconds }: TokenAsked,
): Promise<{ token: string; expires: number }> {
  const { namespace, name = "", uid } = metadata;
  const wanted: TokenRequest & { apiVersion: string; kind: string } = {
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenRequest",
    metadata: {},
    spec: {
      audiences: audience === undefined ? [] : [audience],
      expirationSeconds,
      boundObjectRef: { apiVersion: "v1", kind: "Pod", name, uid },
    },
  };
  const account = { namespace, name: spec?.serviceAccountName ?? "default" };
  const { status } = (await client.act(serviceAccounts, account, "token", wanted)) as TokenRequest;
  if (!status) throw new Error("the server gave no token");
  return { token: status.token, expires: parseTime(status.expirationTimestamp) };
}
