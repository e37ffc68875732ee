/** What the server fills in and takes away when a service is written. Addresses and node ports are given out elsewhere. */
import { deepEqual } from "#base";
import {
  isExternallyAccessible,
  needsClusterIp,
  needsHealthCheckPort,
  needsNodePort,
  trafficPolicies,
} from "./rules.ts";
import type { Service, ServicePort, ServiceSpec } from "./schema.ts";

/** How long a client stays with its pod, in seconds. */
const affinitySeconds = 10800;

export function applyDefaults(service: Service): void {
  const { spec, status } = service;
  if (!spec) return;
  if (spec.sessionAffinity === "None") delete spec.sessionAffinityConfig;
  if (spec.sessionAffinity === "ClientIP" && spec.sessionAffinityConfig?.clientIP?.timeoutSeconds === undefined) {
    spec.sessionAffinityConfig = { clientIP: { timeoutSeconds: affinitySeconds } };
  }
  for (const port of spec.ports ?? []) {
    if (!port.targetPort) port.targetPort = port.port;
  }
  // Upstream takes it off whenever such a service is read; what it refuses stays for validation to see.
  if (spec.type === "ExternalName" && trafficPolicies.includes(spec.internalTrafficPolicy ?? "")) {
    delete spec.internalTrafficPolicy;
  }
  if (isExternallyAccessible(service)) spec.externalTrafficPolicy ||= "Cluster";
  if (["ClusterIP", "NodePort", "LoadBalancer"].includes(spec.type ?? "")) spec.internalTrafficPolicy ??= "Cluster";
  if (spec.type !== "LoadBalancer") return;
  spec.allocateLoadBalancerNodePorts ??= true;
  setIpModes(status);
}

/** Packets reach the service with the balancer's address by default. */
export function setIpModes(status: Service["status"]): void {
  for (const ingress of status?.loadBalancer?.ingress ?? []) if (ingress.ip) ingress.ipMode ??= "VIP";
}

/** clusterIP and clusterIPs are kept equal; the one that the client left out follows the other. */
export function prepareForCreate(service: Service): void {
  const { spec } = service;
  service.status = { loadBalancer: {} };
  if (spec?.clusterIP && !spec.clusterIPs?.length) spec.clusterIPs = [spec.clusterIP];
}

export function prepareForUpdate(next: Service, previous: Service): void {
  if (!next.spec || !previous.spec) return;
  dropByType(next, previous);
  keepAllocated(next, previous);
  alignClusterIps(next.spec, previous.spec);
}

function clear<K extends keyof ServiceSpec>(next: ServiceSpec, previous: ServiceSpec, fields: readonly K[]): void {
  if (fields.every((field) => deepEqual(next[field], previous[field]))) for (const field of fields) delete next[field];
}

/** Fields that the new type does not have are removed, where the client left them unchanged. */
function dropByType(next: Service, previous: Service): void {
  const after = next.spec!;
  const before = previous.spec!;
  const loses = (has: (service: Service) => boolean): boolean => has(previous) && !has(next);
  if (loses(needsClusterIp)) {
    clear(after, before, ["clusterIP", "clusterIPs"]);
    clear(after, before, ["ipFamilies"]);
    clear(after, before, ["ipFamilyPolicy"]);
  }
  const portsBefore = nodePortsOf(before);
  if (loses(needsNodePort) && [...nodePortsOf(after)].every((port) => portsBefore.has(port))) {
    for (const port of after.ports ?? []) delete port.nodePort;
  }
  if (loses(needsHealthCheckPort)) clear(after, before, ["healthCheckNodePort"]);
  if (loses(({ spec }) => spec?.type === "LoadBalancer")) {
    clear(after, before, ["allocateLoadBalancerNodePorts"]);
    clear(after, before, ["loadBalancerClass"]);
  }
  if (loses(isExternallyAccessible)) clear(after, before, ["externalTrafficPolicy"]);
  if (after.type !== "LoadBalancer" && next.status?.loadBalancer) next.status.loadBalancer = {};
}

const nodePortsOf = ({ ports = [] }: ServiceSpec): Set<number> =>
  new Set(ports.flatMap(({ nodePort }) => (nodePort ? [nodePort] : [])));

/** A PUT without allocated values keeps them, so that applying a manifest again changes nothing. */
function keepAllocated(next: Service, previous: Service): void {
  const after = next.spec!;
  const before = previous.spec!;
  if (needsClusterIp(previous) && needsClusterIp(next)) {
    if (!after.clusterIP && before.clusterIP) after.clusterIP = before.clusterIP;
    if (!after.clusterIPs?.length && before.clusterIPs?.length) after.clusterIPs = before.clusterIPs;
  }
  if (needsNodePort(previous) && needsNodePort(next)) keepNodePorts(after, before);
  if (needsHealthCheckPort(previous) && needsHealthCheckPort(next) && before.healthCheckNodePort) {
    after.healthCheckNodePort ||= before.healthCheckNodePort;
  }
}

function keepNodePorts(after: ServiceSpec, before: ServiceSpec): void {
  const used = nodePortsOf(before).intersection(nodePortsOf(after));
  const known = new Map((before.ports ?? []).map((port: ServicePort) => [port.name ?? "", port.nodePort]));
  for (const port of after.ports ?? []) {
    const given = known.get(port.name ?? "");
    if (!port.nodePort && given && !used.has(given)) port.nodePort = given;
  }
}

/** Clients that know only clusterIP change it alone. */
function alignClusterIps(after: ServiceSpec, before: ServiceSpec): void {
  if (after.clusterIP === before.clusterIP) {
    if (before.clusterIPs?.length && !after.clusterIPs?.length) after.clusterIPs = before.clusterIPs;
    return;
  }
  if (!deepEqual(after.clusterIPs ?? [], before.clusterIPs ?? [])) return;
  if (after.clusterIP) after.clusterIPs = [after.clusterIP];
  else delete after.clusterIPs;
}
