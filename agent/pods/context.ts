import type { RegistryCredentials, Runtime } from "#agent/runtime";
import type { PodVolumes } from "#agent/volumes";
import type { ConfigMap, Pod, Secret, Service } from "#api";
import type { Clock, Log, Random } from "#base";
import type { PodCgroups } from "./cgroups.ts";

/** The machine's facts that pods depend on. */
export interface NodeFacts {
  name: string;
  /** Addresses of the host, the primary first. */
  ips: string[];
  allocatable: Record<string, string>;
  memoryBytes: number;
  /** The runtime's name in container ids: `containerd` in `containerd://…`. */
  runtimeName: string;
  cgroupDriver: "cgroupfs" | "systemd" | "none";
  /** The parent of pods' cgroups, such as `/kubepods`. */
  cgroupRoot: string;
  /** Whether the machine has cgroup v2 only. */
  isUnified: boolean;
  /** Pods' logs, as `<namespace>_<name>_<uid>/<container>/<attempt>.log`. */
  logFolder: string;
  /** The cluster's DNS; absent: pods use the host's. */
  dns?: ClusterDns;
  /** The file with the node's own DNS servers. Defaults to the host's. */
  resolvConf?: string | undefined;
  /** The folder of seccomp profiles of type Localhost. */
  seccompFolder: string;
  /** Whether the kernel enforces AppArmor profiles. */
  appArmor: boolean;
  /** Whether the runtime knows `supplementalGroupsPolicy: Strict`. */
  strictGroups: boolean;
  /** False where pods cannot be reached over the network. */
  reachable: boolean;
}

/** The cluster's DNS as pods use it. */
export interface ClusterDns {
  /** The addresses for resolv.conf, as they are now; none: pods use the host's servers. */
  servers(): string[];
  /** Such as `cluster.local`. */
  domain: string;
}

/** The API as pods use it. Everything rejects with an ApiError. */
export interface PodApi {
  /** Replaces the status at the pod's resourceVersion. Resolves with the object as stored. */
  updateStatus(pod: Pod): Promise<Pod>;
  /** Reads the newest state. */
  get(namespace: string, name: string): Promise<Pod>;
  /** Deletes exactly this pod, without a grace period. */
  remove(pod: Pod): Promise<void>;
  /** Undefined when it does not exist. */
  configMap(namespace: string, name: string): Promise<ConfigMap | undefined>;
  secret(namespace: string, name: string): Promise<Secret | undefined>;
  services(namespace: string): Promise<Service[]>;
}

/** How a pod is ended by its node. */
export interface PodEviction {
  /** Of the pod's status. Defaults to Evicted, which is also an event. */
  reason?: string;
  message: string;
  graceSeconds: number;
  /** Whether the pod gets the condition DisruptionTarget. */
  isDisruption: boolean;
  /** The condition's message. Defaults to `message`. */
  disruption?: string;
}

/** An event about a pod, or about one of its containers by `fieldPath`. */
export type PodRecorder = (
  pod: Pod,
  type: "Normal" | "Warning",
  reason: string,
  message: string,
  fieldPath?: string,
) => void;

export interface PodsContext {
  node: NodeFacts;
  runtime: Runtime;
  volumes: PodVolumes;
  api: PodApi;
  clock: Clock;
  random: Random;
  log: Log;
  record: PodRecorder;
  /** The cgroups of pods; absent where the runtime or systemd makes them. */
  cgroups?: PodCgroups | undefined;
  /** Why a node that is short of resources rejects a new pod; undefined when it admits it. */
  rejectUnderPressure?: (pod: Pod) => { reason: string; message: string } | undefined;
  /** The node's own credentials for an image, for pods whose secrets have none; undefined: none. */
  registryCredentials?: ((reference: string) => Promise<RegistryCredentials | undefined>) | undefined;
}

/** A container cannot be created yet. Its status shows this reason and message while it waits. */
export class StartError extends Error {
  readonly reason: string;
  /** The next try follows soon, as after an event of the runtime. */
  readonly soon: boolean;
  constructor(reason: string, message: string, options: ErrorOptions & { soon?: boolean } = {}) {
    super(message, options);
    this.reason = reason;
    this.soon = options.soon === true;
  }
}

/** `name_namespace(uid)`: the pod in messages. */
export const podLabel = ({ metadata }: Pod): string => `${metadata.name}_${metadata.namespace}(${metadata.uid})`;

/** The fieldPath of a container's events. */
export function fieldPathOf(pod: Pod, name: string): string {
  const init = (pod.spec?.initContainers ?? []).some((container) => container.name === name);
  const ephemeral = (pod.spec?.ephemeralContainers ?? []).some((container) => container.name === name);
  return `spec.${init ? "initContainers" : ephemeral ? "ephemeralContainers" : "containers"}{${name}}`;
}
