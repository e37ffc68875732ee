import type { RegistryCredentials, Runtime } from "#agent/runtime";
import type { PodVolumes } from "#agent/volumes";
import type { ConfigMap, Pod, Secret, Service } from "#api";
import type { Clock, Log, Random } from "#base";

/** What pods know of the machine that they run on. */
export interface NodeFacts {
  name: string;
  /** Addresses of the host, the primary first. */
  ips: string[];
  allocatable: Record<string, string>;
  memoryBytes: number;
  /** The runtime as ids spell it: `containerd` in `containerd://…`. */
  runtimeName: string;
  cgroupDriver: "cgroupfs" | "systemd" | "none";
  /** Where pods' cgroups lie, such as `/kubepods`. */
  cgroupRoot: string;
  /** Pods' logs, as `<namespace>_<name>_<uid>/<container>/<attempt>.log`. */
  logFolder: string;
  /** The cluster's DNS; none: pods use the host's. */
  dns?: { servers: string[]; domain: string };
  /** False where pods have no network that could be reached from here. */
  reachable: boolean;
}

/** The API as pods use it. Everything rejects with an ApiError. */
export interface PodApi {
  /** Replaces the status; the object must still be at its resourceVersion. Answers the object as stored. */
  updateStatus(pod: Pod): Promise<Pod>;
  /** The newest state. */
  get(namespace: string, name: string): Promise<Pod>;
  /** The final deletion, with no grace, of this very pod. */
  remove(pod: Pod): Promise<void>;
  /** Undefined where there is none. */
  configMap(namespace: string, name: string): Promise<ConfigMap | undefined>;
  secret(namespace: string, name: string): Promise<Secret | undefined>;
  services(namespace: string): Promise<Service[]>;
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
  /** What the node itself pulls an image with, where the pod's secrets say nothing of it; undefined: nothing. */
  registryCredentials?: ((reference: string) => Promise<RegistryCredentials | undefined>) | undefined;
}

/** A container cannot be made yet: its reason and message are what its status shows while it waits. */
export class StartError extends Error {
  readonly reason: string;
  /** The next look follows in a moment, as after an event of the runtime. */
  readonly soon: boolean;
  constructor(reason: string, message: string, options: ErrorOptions & { soon?: boolean } = {}) {
    super(message, options);
    this.reason = reason;
    this.soon = options.soon === true;
  }
}

/** `name_namespace(uid)`, as messages spell a pod. */
export const podLabel = ({ metadata }: Pod): string => `${metadata.name}_${metadata.namespace}(${metadata.uid})`;

/** Where events point to for a container. */
export function fieldPathOf(pod: Pod, name: string): string {
  const init = (pod.spec?.initContainers ?? []).some((container) => container.name === name);
  const ephemeral = (pod.spec?.ephemeralContainers ?? []).some((container) => container.name === name);
  return `spec.${init ? "initContainers" : ephemeral ? "ephemeralContainers" : "containers"}{${name}}`;
}
