import type { Service } from "#api";
import { canonicalIp, cidrContains, formatCidr, parseCidr, parseIp } from "#api/meta";

export type IpFamily = "IPv4" | "IPv6";
export type Protocol = "TCP" | "UDP" | "SCTP";

/** The frontends and policies of one port of a service, for one family of addresses. */
export interface ServicePort {
  /** `namespace/name:port`, without the colon if the port has no name. */
  name: string;
  /** `namespace/name` of the service. */
  service: string;
  /** The port's own name; often empty. */
  portName: string;
  protocol: Protocol;
  clusterIP: string;
  port: number;
  /** 0: none. */
  nodePort: number;
  externalIPs: readonly string[];
  /** Addresses of the load balancer that this node answers itself (ipMode VIP). */
  loadBalancerIPs: readonly string[];
  /** Blocks that may use the load balancer's addresses; empty: all. */
  sourceRanges: readonly string[];
  externalLocal: boolean;
  internalLocal: boolean;
  /** Seconds for which a client keeps its endpoint; 0: no affinity. */
  affinitySeconds: number;
  /** 0: none. */
  healthCheckNodePort: number;
}

/** The label of services and slices that another proxy serves. */
const proxyNameLabel = "service.kubernetes.io/service-proxy-name";
/** The label of headless services and of their slices. */
const headlessLabel = "service.kubernetes.io/headless";

/** Whether this proxy serves a service or a slice with these labels, after the informers of cmd/kube-proxy. */
export const isServedHere = (labels: Readonly<Record<string, string>> | undefined): boolean =>
  labels?.[proxyNameLabel] === undefined && labels?.[headlessLabel] === undefined;

const familyOf = (address: string): IpFamily => (address.includes(":") ? "IPv6" : "IPv4");

const ofFamily = (addresses: readonly string[], family: IpFamily): string[] =>
  addresses.flatMap((address) => {
    const canonical = canonicalIp(address.trim());
    return canonical !== undefined && familyOf(canonical) === family ? [canonical] : [];
  });

/** The service's own address of a family, after upstream's GetClusterIPByFamily; undefined: none. */
function clusterIpOf({ spec }: Service, family: IpFamily): string | undefined {
  const { clusterIP = "", clusterIPs = [], ipFamilies = [] } = spec ?? {};
  const found = ipFamilies.length === 0 ? clusterIP : clusterIPs[ipFamilies.indexOf(family)];
  return ofFamily([found ?? ""], family)[0];
}

/** Whether clients outside the cluster can reach the service, after upstream's ExternallyAccessible. */
function isExternal({ spec }: Service): boolean {
  if (spec?.type === "LoadBalancer" || spec?.type === "NodePort") return true;
  return spec?.type === "ClusterIP" && (spec.externalIPs ?? []).length > 0;
}

/** The blocks that may use the load balancer's addresses. A block of all addresses allows all, as an empty list does. */
function sourceRangesOf({ spec }: Service, family: IpFamily): string[] {
  const blocks = (spec?.loadBalancerSourceRanges ?? []).flatMap((text) => {
    const block = parseCidr(text.trim());
    return block && (block.version === 6) === (family === "IPv6") ? [block] : [];
  });
  return blocks.some(({ prefix }) => prefix === 0) ? [] : blocks.map(formatCidr);
}

/**
 * The ports of a service in one family of addresses; none for headless services, for type ExternalName and for services
 * of another proxy. Follows upstream's ShouldSkipService and newBaseServiceInfo.
 */
export function servicePortsOf(service: Service, family: IpFamily): ServicePort[] {
  const { metadata, spec, status } = service;
  const clusterIP = clusterIpOf(service, family);
  if (clusterIP === undefined || spec?.type === "ExternalName" || !isServedHere(metadata.labels)) return [];
  const key = `${metadata.namespace}/${metadata.name}`;
  const ingress = (status?.loadBalancer?.ingress ?? []).filter(({ ipMode = "VIP" }) => ipMode === "VIP");
  const externalLocal = isExternal(service) && spec?.externalTrafficPolicy === "Local";
  const affinity = spec?.sessionAffinity === "ClientIP" ? spec.sessionAffinityConfig?.clientIP?.timeoutSeconds : 0;
  const shared = {
    service: key,
    clusterIP,
    externalIPs: ofFamily(spec?.externalIPs ?? [], family),
    loadBalancerIPs: ofFamily(
      ingress.map(({ ip = "" }) => ip),
      family,
    ),
    sourceRanges: sourceRangesOf(service, family),
    externalLocal,
    internalLocal: spec?.internalTrafficPolicy === "Local",
    affinitySeconds: affinity ?? defaultAffinitySeconds,
    healthCheckNodePort: spec?.type === "LoadBalancer" && externalLocal ? (spec.healthCheckNodePort ?? 0) : 0,
  };
  return (spec?.ports ?? []).map(({ name: portName = "", port, protocol = "TCP", nodePort = 0 }) => ({
    ...shared,
    name: portName === "" ? key : `${key}:${portName}`,
    portName,
    protocol: protocol as Protocol,
    port,
    nodePort,
  }));
}

/** Seconds of an affinity without its own timeout: the default of upstream's SetDefaults_Service. */
const defaultAffinitySeconds = 10_800;

/** Whether a port has frontends besides the cluster address. */
export const hasExternalFrontends = ({ nodePort, loadBalancerIPs, externalIPs }: ServicePort): boolean =>
  nodePort !== 0 || loadBalancerIPs.length > 0 || externalIPs.length > 0;

/** Whether an address is in one of the blocks. */
export function isWithin(blocks: readonly string[], address: string): boolean {
  const ip = parseIp(address);
  return blocks.some((text) => {
    const block = parseCidr(text);
    return block !== undefined && ip !== undefined && cidrContains(block, ip);
  });
}

/** Blocks and addresses, without those that another one contains. */
export function withoutNested(blocks: readonly string[]): string[] {
  const distinct = [...new Set(blocks)];
  return distinct.filter((block) => {
    const others = distinct.filter((other) => other !== block && other.includes("/"));
    const [base = "", bits] = block.split("/");
    const contains = others.filter((other) => Number(other.split("/")[1]) <= Number(bits ?? 128));
    return !isWithin(contains, base);
  });
}
