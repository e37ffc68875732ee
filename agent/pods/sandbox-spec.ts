import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  defaultSecurity,
  RuntimeError,
  type SandboxSpec,
  type SecurityProfile,
  type SecuritySpec,
} from "#agent/runtime";
import type { Pod, PodSecurityContext } from "#api";
import type { NodeFacts } from "./context.ts";
import { cgroupParentOf } from "./qos.ts";

/** Host names have at most 63 characters and do not end with a dash or a dot. */
const shorten = (name: string): string => name.slice(0, 63).replace(/[-.]+$/, "");

/** The pod's host name and, with a subdomain, its domain below the cluster's. */
export function hostnameOf(pod: Pod, clusterDomain: string): { hostname: string; domain: string } {
  const { hostname, subdomain, hostnameOverride, setHostnameAsFQDN } = pod.spec ?? {};
  if (hostnameOverride) return { hostname: hostnameOverride, domain: "" };
  const name = shorten(hostname || pod.metadata.name || "");
  const domain = subdomain ? `${subdomain}.${pod.metadata.namespace}.svc.${clusterDomain}` : "";
  return { hostname: setHostnameAsFQDN && domain !== "" ? `${name}.${domain}` : name, domain };
}

interface Dns {
  servers: string[];
  searches: string[];
  options: string[];
}

/** The host's resolv.conf. */
async function hostDns(path = "/etc/resolv.conf"): Promise<Dns> {
  const dns: Dns = { servers: [], searches: [], options: [] };
  for (const line of (await readFile(path, "utf8").catch(() => "")).split("\n")) {
    const [key, ...values] = line.trim().split(/\s+/);
    if (key === "nameserver" && values[0]) dns.servers.push(values[0]);
    else if (key === "search") dns.searches = values;
    else if (key === "options") dns.options = values;
  }
  return dns;
}

const unique = (values: string[]): string[] => [...new Set(values)];

/** resolv.conf by the pod's dnsPolicy and dnsConfig. */
export async function dnsOf(pod: Pod, node: NodeFacts): Promise<Dns> {
  const { dnsPolicy = "ClusterFirst", dnsConfig, hostNetwork } = pod.spec ?? {};
  const cluster = node.dns;
  let dns: Dns;
  const clusterFirst = dnsPolicy === "ClusterFirstWithHostNet" || (dnsPolicy === "ClusterFirst" && !hostNetwork);
  if (dnsPolicy === "None") dns = { servers: [], searches: [], options: [] };
  else if (clusterFirst && cluster) {
    const host = await hostDns();
    const { domain } = cluster;
    const own = [`${pod.metadata.namespace}.svc.${domain}`, `svc.${domain}`, domain];
    dns = { servers: cluster.servers, searches: unique([...own, ...host.searches]), options: ["ndots:5"] };
  } else dns = await hostDns();
  if (!dnsConfig) return dns;
  const options = new Map(dns.options.map((option) => [option.split(":")[0] ?? "", option]));
  for (const { name = "", value } of dnsConfig.options ?? []) {
    options.set(name, value === undefined ? name : `${name}:${value}`);
  }
  return {
    servers: unique([...dns.servers, ...(dnsConfig.nameservers ?? [])]),
    searches: unique([...dns.searches, ...(dnsConfig.searches ?? [])]),
    options: [...options.values()],
  };
}

/** A pod's folder for logs, named as upstream's. */
export const logDirectoryOf = ({ metadata }: Pod, node: NodeFacts): string =>
  join(node.logFolder, `${metadata.namespace}_${metadata.name}_${metadata.uid}`);

const profiles: Record<string, SecurityProfile["type"]> = {
  RuntimeDefault: "RuntimeDefault",
  Localhost: "Localhost",
  Unconfined: "Unconfined",
};

export function profileOf(profile: { type: string; localhostProfile?: string | undefined }): SecurityProfile {
  const { type, localhostProfile } = profile;
  return { type: profiles[type] ?? "Unconfined", ...(localhostProfile ? { localhost: localhostProfile } : {}) };
}

const isPrivileged = (pod: Pod): boolean =>
  [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])].some(
    ({ securityContext }) => securityContext?.privileged,
  );

/** Settings of the pod's security context that its sandbox shares. */
export function sandboxSecurity(pod: Pod): SecuritySpec {
  const context: PodSecurityContext = pod.spec?.securityContext ?? {};
  const { runAsUser, runAsGroup, fsGroup, supplementalGroups = [], seccompProfile } = context;
  return {
    ...defaultSecurity(),
    privileged: isPrivileged(pod),
    ...(runAsUser === undefined ? {} : { runAsUser: Number(runAsUser) }),
    // A group without a user applies to containers only: the sandbox keeps its own user.
    ...(runAsGroup === undefined || runAsUser === undefined ? {} : { runAsGroup: Number(runAsGroup) }),
    supplementalGroups: [...supplementalGroups, ...(fsGroup === undefined ? [] : [fsGroup])].map(Number),
    ...(seccompProfile ? { seccomp: profileOf(seccompProfile) } : {}),
  };
}

/** The sandbox of a pod. Throws `unsupported` for a runtime class. */
export async function sandboxSpecOf(pod: Pod, attempt: number, node: NodeFacts): Promise<SandboxSpec> {
  const { metadata, spec } = pod;
  const hostNetwork = spec?.hostNetwork === true;
  if (spec?.runtimeClassName) {
    // The message of upstream's lister: no RuntimeClass exists.
    throw new RuntimeError("unsupported", `runtimeclass.node.k8s.io "${spec.runtimeClassName}" not found`);
  }
  const cgroupParent = cgroupParentOf(pod, node.cgroupDriver, node.cgroupRoot);
  return {
    name: metadata.name ?? "",
    namespace: metadata.namespace ?? "",
    uid: metadata.uid ?? "",
    attempt,
    hostname: hostNetwork ? "" : hostnameOf(pod, node.dns?.domain ?? "cluster.local").hostname,
    dns: await dnsOf(pod, node),
    host: {
      network: hostNetwork,
      pid: spec?.hostPID === true,
      ipc: spec?.hostIPC === true,
      users: spec?.hostUsers !== false,
    },
    shareProcesses: spec?.shareProcessNamespace === true,
    cgroupParent,
    ports: hostNetwork
      ? []
      : (spec?.containers ?? [])
          .flatMap(({ ports = [] }) => ports)
          .filter(({ hostPort }) => hostPort)
          .map(({ protocol = "TCP", containerPort, hostPort = 0, hostIP = "" }) => ({
            protocol: protocol as "TCP",
            containerPort,
            hostPort,
            hostIP,
          })),
    logDirectory: logDirectoryOf(pod, node),
    sysctls: Object.fromEntries((spec?.securityContext?.sysctls ?? []).map(({ name, value }) => [name, value])),
    security: sandboxSecurity(pod),
    labels: { ...metadata.labels },
    annotations: {
      ...metadata.annotations,
      // For the end of the pod when it is no longer in the API.
      [graceAnnotation]: String(spec?.terminationGracePeriodSeconds ?? 30),
    },
    handler: "",
  };
}

export const graceAnnotation = "skiff.dev/termination-grace-period";

/** Changes when a container's definition changes in a way that needs a new container. */
export const containerHash = (container: { image?: string | undefined }): string =>
  createHash("sha256")
    .update(container.image ?? "")
    .digest("hex")
    .slice(0, 16);
