import { createHash } from "node:crypto";
import { join } from "node:path";
import { podResolvConf } from "#agent/dns";
import {
  defaultSecurity,
  RuntimeError,
  type SandboxSpec,
  type SecurityProfile,
  type SecuritySpec,
} from "#agent/runtime";
import type { Pod, PodSecurityContext } from "#api";
import type { NodeFacts } from "./context.ts";
import { type PodDns, podDns } from "./pod-dns.ts";
import { cgroupParentOf } from "./qos.ts";

/** Host names have at most 63 characters and do not end with a dash or a dot. */
const shorten = (name: string): string => name.slice(0, 63).replace(/[-.]+$/, "");

/** The pod's host name and, with a subdomain, its domain below the cluster's. */
export function hostnameOf(pod: Pod, clusterDomain: string): { hostname: string; domain: string } {
  const { hostname, subdomain, hostnameOverride, setHostnameAsFQDN } = pod.spec ?? {};
  if (hostnameOverride) return { hostname: shorten(hostnameOverride), domain: "" };
  const name = shorten(hostname || pod.metadata.name || "");
  const domain = subdomain ? `${subdomain}.${pod.metadata.namespace}.svc.${clusterDomain}` : "";
  return { hostname: setHostnameAsFQDN && domain !== "" ? `${name}.${domain}` : name, domain };
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

/** The pod's resolv.conf, from the host's as it is now. */
export const dnsOf = async (pod: Pod, node: NodeFacts): Promise<PodDns> => podDns(pod, node.dns, await podResolvConf());

/** The sandbox of a pod, with its DNS. Throws `unsupported` for a runtime class. */
export function sandboxSpecOf(pod: Pod, attempt: number, node: NodeFacts, { dns }: PodDns): SandboxSpec {
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
    dns,
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
