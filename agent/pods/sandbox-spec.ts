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
import type { Pod, PodSecurityContext, SeccompProfile } from "#api";
import type { NodeFacts } from "./context.ts";
import { kernelHostname } from "./hosts.ts";
import { type PodDns, podDns } from "./pod-dns.ts";
import { cgroupParentOf } from "./qos.ts";

/** A pod's folder for logs, named as upstream's. */
export const logDirectoryOf = ({ metadata }: Pod, node: NodeFacts): string =>
  join(node.logFolder, `${metadata.namespace}_${metadata.name}_${metadata.uid}`);

const profiles: Record<string, SecurityProfile["type"]> = {
  RuntimeDefault: "RuntimeDefault",
  Localhost: "Localhost",
  Unconfined: "Unconfined",
};

/** A seccomp profile; one of type Localhost is a file below the node's folder (upstream's fieldSeccompProfile). */
export function seccompOf(profile: SeccompProfile, { seccompFolder }: NodeFacts): SecurityProfile {
  const { type, localhost } = profileOf(profile);
  return { type, ...(localhost ? { localhost: join(seccompFolder, localhost) } : {}) };
}

export function profileOf(profile: { type: string; localhostProfile?: string | undefined }): SecurityProfile {
  const { type, localhostProfile } = profile;
  return { type: profiles[type] ?? "Unconfined", ...(localhostProfile ? { localhost: localhostProfile } : {}) };
}

const isPrivileged = (pod: Pod): boolean =>
  [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])].some(
    ({ securityContext }) => securityContext?.privileged,
  );

/** Settings of the pod's security context that its sandbox shares. */
export function sandboxSecurity(pod: Pod, node: NodeFacts): SecuritySpec {
  const context: PodSecurityContext = pod.spec?.securityContext ?? {};
  const { runAsUser, runAsGroup, fsGroup, supplementalGroups = [], seccompProfile } = context;
  return {
    ...defaultSecurity(),
    privileged: isPrivileged(pod),
    ...(runAsUser === undefined ? {} : { runAsUser: Number(runAsUser) }),
    // A group without a user applies to containers only: the sandbox keeps its own user.
    ...(runAsGroup === undefined || runAsUser === undefined ? {} : { runAsGroup: Number(runAsGroup) }),
    supplementalGroups: [...supplementalGroups, ...(fsGroup === undefined ? [] : [fsGroup])].map(Number),
    ...(seccompProfile ? { seccomp: seccompOf(seccompProfile, node) } : {}),
  };
}

/** The pod's resolv.conf, from the node's as it is now. */
export const dnsOf = async (pod: Pod, node: NodeFacts): Promise<PodDns> =>
  podDns(pod, node.dns, await podResolvConf(node.resolvConf));

/** The sandbox of a pod, with its DNS. Throws `unsupported` for a runtime class and for a host name that is too long. */
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
    hostname: hostNetwork ? "" : kernelHostname(pod, node.dns?.domain),
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
    security: sandboxSecurity(pod, node),
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

/** By container of a pod's spec, which is computed at each of the pod's steps. */
const hashes = new WeakMap<object, string>();

/** Changes when a container's definition changes in a way that needs a new container. */
export function containerHash(container: { image?: string | undefined }): string {
  const known = hashes.get(container);
  if (known !== undefined) return known;
  const hash = createHash("sha256")
    .update(container.image ?? "")
    .digest("hex")
    .slice(0, 16);
  hashes.set(container, hash);
  return hash;
}
