import { openWriter, type Redirects, ServiceProxy } from "#agent/network";
import { hostFacts } from "#agent/node";
import { namedAfter } from "#agent/runtime/containerd/private";
import { type Node, nodes, services as serviceKind } from "#api";
import { aborted, type Log, systemClock } from "#base";
import { type Client, startInformer } from "#client";
import { createRecorder } from "#events";
import type { Component, Running } from "./components.ts";
import type { AgentConfig } from "./config.ts";
import type { ServiceList } from "./service-list.ts";

export interface ServiceProxyRequest {
  config: AgentConfig;
  /** The node's name. */
  name: string;
  podCidr: string;
  /** The node's own address in the pod network; asked once the runtime is open. */
  gateway(): string | undefined;
  client: Client;
  services: ServiceList;
  /** Services that the node answers itself. */
  redirects: Redirects;
  log: Log;
  /** Ends the wait for the node's object. */
  signal: AbortSignal;
}

const zoneLabel = "topology.kubernetes.io/zone";

/** The service proxy of a node, as upstream's kube-proxy. It has started once the rules of all services are in force. */
export function serviceProxy(request: ServiceProxyRequest): Component {
  return { name: "service proxy", start: () => startProxy(request) };
}

async function startProxy(request: ServiceProxyRequest): Promise<Running> {
  const { config, name, podCidr, client, services, redirects, log, signal } = request;
  const { ips } = await hostFacts(config.dataDir);
  const writer = await openWriter({
    mode: config.proxyMode,
    nodePortAddresses: config.nodePortAddresses,
    name: (config.network ?? namedAfter(name)).bridge,
    podCidr,
    clusterCidr: config.clusterCidr,
    serviceCidr: config.serviceCidr,
    gateway: request.gateway(),
    nodeIp: ips.find((ip) => !ip.includes(":")),
    log,
  });
  if (!writer) return { stop: () => {} };
  const factsOf = (node: Node | undefined) => ({
    name,
    zone: (node?.metadata.labels ?? config.labels)?.[zoneLabel] ?? "",
  });
  const record = createRecorder({ client, clock: systemClock, log, component: "kube-proxy", host: name });
  const byKey = (key: string) =>
    [...services.services()].find(({ metadata }) => `${metadata.namespace}/${metadata.name}` === key);
  const proxy = new ServiceProxy({
    node: factsOf(undefined),
    family: "IPv4",
    redirects,
    source: services,
    writer,
    clock: systemClock,
    log,
    warn: (key, reason, message) => {
      const object = byKey(key);
      if (object) record({ kind: serviceKind, object }, "Warning", reason, message);
    },
  });
  // The node's zone may change, and its object may not exist yet: the kubelet registers it.
  const informer = startInformer<Node>({
    client,
    kind: nodes,
    fields: [{ field: "metadata.name", equal: true, value: name }],
    clock: systemClock,
    log,
    changed: ({ type, object }) => proxy.setNode(factsOf(type === "DELETED" ? undefined : object)),
  });
  await Promise.race([informer.ready, aborted(signal)]);
  try {
    await proxy.start();
  } catch (error) {
    await informer.stop();
    throw error;
  }
  return {
    stop: async () => {
      await informer.stop();
      await proxy.stop();
    },
  };
}
