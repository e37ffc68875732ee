import { RuntimeError } from "#agent/runtime";
import type { Pod } from "#api";

/** Host names have at most 63 characters and do not end with a dash or a dot. */
const shorten = (name: string): string => name.slice(0, 63).replace(/[-.]+$/, "");

/** The longest name that the kernel stores, in characters. */
const longestKernelName = 64;

/** The pod's host name and, with a subdomain, its domain below the cluster's (upstream's GeneratePodHostNameAndDomain). */
export function hostnameOf(pod: Pod, clusterDomain = "cluster.local"): { hostname: string; domain: string } {
  const { hostname, subdomain, hostnameOverride } = pod.spec ?? {};
  if (hostnameOverride !== undefined) return { hostname: shorten(hostnameOverride), domain: "" };
  return {
    hostname: shorten(hostname || pod.metadata.name || ""),
    domain: subdomain ? `${subdomain}.${pod.metadata.namespace}.svc.${clusterDomain}` : "",
  };
}

/**
 * The name that `hostname` prints in the pod (upstream's GetNodenameForKernel). Throws `unsupported` when the pod's whole
 * name is requested and too long.
 */
export function kernelHostname(pod: Pod, clusterDomain?: string): string {
  const { hostname, domain } = hostnameOf(pod, clusterDomain);
  if (!pod.spec?.setHostnameAsFQDN || domain === "") return hostname;
  const name = `${hostname}.${domain}`;
  if (name.length <= longestKernelName) return name;
  throw new RuntimeError(
    "unsupported",
    `failed to construct FQDN from pod hostname and cluster domain, FQDN ${name} is too long (${longestKernelName} characters is the max, ${name.length} characters requested)`,
  );
}

/** The content of /etc/hosts (upstream's managedHostsFileContent). */
export function hostsFile(pod: Pod, podIPs: readonly string[], clusterDomain?: string): string {
  const { hostname, domain } = hostnameOf(pod, clusterDomain);
  const names = domain === "" ? hostname : `${hostname}.${domain}\t${hostname}`;
  const lines = [
    "# Kubernetes-managed hosts file.",
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::0\tip6-localnet",
    "fe00::0\tip6-mcastprefix",
    "fe00::1\tip6-allnodes",
    "fe00::2\tip6-allrouters",
    ...podIPs.map((ip) => `${ip}\t${names}`),
  ];
  return `${lines.join("\n")}\n${aliasesOf(pod)}`;
}

/** The same for pods with host networking, over the host's own file (upstream's nodeHostsFileContent). */
export const hostNetworkHosts = (pod: Pod, host: string): string =>
  `# Kubernetes-managed hosts file (host network).\n${host}${aliasesOf(pod)}`;

function aliasesOf(pod: Pod): string {
  const lines = (pod.spec?.hostAliases ?? []).map(({ ip, hostnames = [] }) => `${ip}\t${hostnames.join("\t")}\n`);
  return lines.length > 0 ? `\n# Entries added by HostAliases.\n${lines.join("")}` : "";
}
