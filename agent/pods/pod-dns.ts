import type { ResolvConf } from "#agent/dns";
import type { Pod } from "#api";
import { type ClusterDns, podLabel } from "./context.ts";

/** A pod's resolv.conf, and warnings for events of the pod. */
export interface PodDns {
  dns: ResolvConf;
  warnings: { reason: string; message: string }[];
}

/** Limits of upstream's API validation (pkg/apis/core/validation). */
const mostServers = 3;
const mostSearches = 32;
const mostSearchCharacters = 2048;
/** A longer search domain makes some resolvers abort (upstream's formDNSSearchFitsLimits). */
const longestSearch = 253;

const unique = (values: string[]): string[] => [...new Set(values)];

const none: ResolvConf = { servers: [], searches: [], options: [] };

/**
 * resolv.conf by the pod's dnsPolicy and dnsConfig, over the host's, as upstream's Configurer.GetPodDNS
 * (pkg/kubelet/network/dns/dns.go). `cluster` is absent on a node without cluster DNS.
 */
export function podDns(pod: Pod, cluster: ClusterDns | undefined, host: ResolvConf): PodDns {
  const { dnsPolicy = "ClusterFirst", dnsConfig, hostNetwork } = pod.spec ?? {};
  const warnings: PodDns["warnings"] = [];
  const servers = cluster?.servers() ?? [];
  const wantsCluster = dnsPolicy === "ClusterFirstWithHostNet" || (dnsPolicy === "ClusterFirst" && !hostNetwork);
  let dns = dnsPolicy === "None" ? none : host;
  if (wantsCluster && cluster && servers.length > 0) {
    const { domain } = cluster;
    const own = [`${pod.metadata.namespace}.svc.${domain}`, `svc.${domain}`, domain];
    dns = { servers, searches: unique([...own, ...host.searches]), options: ["ndots:5"] };
  } else if (wantsCluster) warnings.push({ reason: "MissingClusterDNS", message: missingMessage(pod) });
  if (dnsConfig) {
    const options = new Map(dns.options.map((option) => [option.split(":")[0] ?? "", option]));
    for (const { name = "", value } of dnsConfig.options ?? []) options.set(name, value ? `${name}:${value}` : name);
    dns = {
      servers: unique([...dns.servers, ...(dnsConfig.nameservers ?? [])]),
      searches: unique([...dns.searches, ...(dnsConfig.searches ?? [])]),
      options: [...options.values()],
    };
  }
  const limited = withinLimits(dns);
  return { dns: limited.dns, warnings: [...warnings, ...limited.warnings] };
}

const missingMessage = (pod: Pod): string =>
  `pod: "${podLabel(pod)}". kubelet does not have ClusterDNS IP configured and cannot create Pod using "ClusterFirst" policy. Falling back to "Default" policy.`;

function withinLimits({ servers, searches, options }: ResolvConf): PodDns {
  const warnings: PodDns["warnings"] = [];
  const warn = (message: string): void => {
    warnings.push({ reason: "DNSConfigForming", message });
  };
  const usedServers = servers.slice(0, mostServers);
  if (usedServers.length < servers.length) {
    warn(
      `Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: ${usedServers.join(" ")}`,
    );
  }
  const usedSearches = searches.slice(0, mostSearches).filter(({ length }) => length <= longestSearch);
  while (usedSearches.join(" ").length > mostSearchCharacters) usedSearches.pop();
  if (usedSearches.length < searches.length) {
    warn(
      `Search Line limits were exceeded, some search paths have been omitted, the applied search line is: ${usedSearches.join(" ")}`,
    );
  }
  return { dns: { servers: usedServers, searches: usedSearches, options }, warnings };
}
