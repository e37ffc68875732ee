import type * as z from "zod";
import {
  boolean,
  int32,
  int64,
  list,
  map,
  message,
  metadataField,
  ObjectMeta,
  optional,
  quantity,
  required,
  string,
} from "../../meta/index.ts";
import { LocalObjectReference } from "../reference.ts";
import { Toleration } from "../topology.ts";
import { Affinity, TopologySpreadConstraint } from "./affinity.ts";
import { Container } from "./container.ts";
import { EphemeralContainer } from "./ephemeral-container.ts";
import { PodResourceClaim, ResourceRequirements } from "./resources.ts";
import { PodSecurityContext } from "./security.ts";
import { PodStatus } from "./status.ts";
import { Volume } from "./volume.ts";

export const PodDNSConfigOption = message("io.k8s.api.core.v1.PodDNSConfigOption", () => ({
  name: optional(1, string, "Name of the option."),
  value: optional(2, string, "Its value.", { isPointer: true }),
}));
export type PodDNSConfigOption = z.infer<typeof PodDNSConfigOption>;

export const PodDNSConfig = message("io.k8s.api.core.v1.PodDNSConfig", () => ({
  nameservers: optional(1, list(string), "Addresses of name servers.", { list: "atomic" }),
  searches: optional(2, list(string), "Domains to search in.", { list: "atomic" }),
  options: optional(3, list(PodDNSConfigOption), "Options of the resolver.", { list: "atomic" }),
}));
export type PodDNSConfig = z.infer<typeof PodDNSConfig>;

export const HostAlias = message("io.k8s.api.core.v1.HostAlias", () => ({
  ip: required(1, string, "The address."),
  hostnames: optional(2, list(string), "Host names of the address.", { list: "atomic" }),
}));
export type HostAlias = z.infer<typeof HostAlias>;

export const PodOS = message("io.k8s.api.core.v1.PodOS", () => ({
  name: required(1, string, "linux or windows."),
}));
export type PodOS = z.infer<typeof PodOS>;

export const PodReadinessGate = message("io.k8s.api.core.v1.PodReadinessGate", () => ({
  conditionType: required(1, string, "A condition of the pod."),
}));
export type PodReadinessGate = z.infer<typeof PodReadinessGate>;

export const PodSchedulingGate = message("io.k8s.api.core.v1.PodSchedulingGate", () => ({
  name: required(1, string, "Name of the gate."),
}));
export type PodSchedulingGate = z.infer<typeof PodSchedulingGate>;

export const PodSchedulingGroup = message("io.k8s.api.core.v1.PodSchedulingGroup", () => ({
  podGroupName: optional(1, string, "Pods that are scheduled together.", { isPointer: true }),
}));
export type PodSchedulingGroup = z.infer<typeof PodSchedulingGroup>;

export const EvictionResponder = message("io.k8s.api.core.v1.EvictionResponder", () => ({
  name: required(1, string, "Name of the responder."),
  priority: required(2, int32, "Responders of a higher priority come first."),
}));
export type EvictionResponder = z.infer<typeof EvictionResponder>;

export const PodSpec = message("io.k8s.api.core.v1.PodSpec", () => ({
  volumes: optional(1, list(Volume), "Volumes that containers can mount.", {
    list: "map",
    keys: ["name"],
    mergeKey: "name",
    retainKeys: true,
  }),
  containers: required(2, list(Container), "The containers, at least one.", {
    list: "map",
    keys: ["name"],
    mergeKey: "name",
  }),
  restartPolicy: optional(3, string, "When containers are restarted: Always, OnFailure or Never.", {
    default: "Always",
    values: ["Always", "Never", "OnFailure"],
  }),
  terminationGracePeriodSeconds: optional(4, int64, "Grace period for the termination of the pod.", {
    default: 30,
    isPointer: true,
  }),
  activeDeadlineSeconds: optional(5, int64, "How long the pod may run before it counts as failed.", {
    isPointer: true,
  }),
  dnsPolicy: optional(6, string, "ClusterFirst, ClusterFirstWithHostNet, Default or None.", {
    default: "ClusterFirst",
    values: ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"],
  }),
  nodeSelector: optional(7, map(string), "Labels that the node must have.", { atomic: true }),
  serviceAccountName: optional(8, string, "The service account that the pod acts as."),
  serviceAccount: optional(9, string, "Older name of serviceAccountName."),
  nodeName: optional(10, string, "The node that the pod runs on."),
  hostNetwork: optional(11, boolean, "Whether the pod uses the node's network."),
  hostPID: optional(12, boolean, "Whether the pod sees the node's processes."),
  hostIPC: optional(13, boolean, "Whether the pod shares the node's inter-process communication."),
  securityContext: optional(14, PodSecurityContext, "Rights of all containers."),
  imagePullSecrets: optional(15, list(LocalObjectReference), "Secrets for pulling images.", {
    list: "map",
    keys: ["name"],
    mergeKey: "name",
  }),
  hostname: optional(16, string, "Host name of the pod; its name when absent."),
  subdomain: optional(17, string, "With it, the host name is `<hostname>.<subdomain>.<namespace>.svc.<zone>`."),
  affinity: optional(18, Affinity, "Affinity rules."),
  schedulerName: optional(19, string, "Name of the scheduler.", { default: "default-scheduler" }),
  initContainers: optional(
    20,
    list(Container),
    "Containers that run to their end, one after the other, before the others start.",
    { list: "map", keys: ["name"], mergeKey: "name" },
  ),
  automountServiceAccountToken: optional(21, boolean, "Whether the service account's token is mounted.", {
    isPointer: true,
  }),
  tolerations: optional(22, list(Toleration), "Taints that the pod tolerates.", { list: "atomic" }),
  hostAliases: optional(23, list(HostAlias), "Lines of the pod's hosts file.", {
    list: "map",
    keys: ["ip"],
    mergeKey: "ip",
  }),
  priorityClassName: optional(24, string, "The pod's priority, by name."),
  priority: optional(25, int32, "The pod's priority; set from its class.", { isPointer: true }),
  dnsConfig: optional(26, PodDNSConfig, "Name resolution beyond dnsPolicy."),
  shareProcessNamespace: optional(27, boolean, "Whether containers see each other's processes.", { isPointer: true }),
  readinessGates: optional(28, list(PodReadinessGate), "Conditions that must also hold for the pod to be ready.", {
    list: "atomic",
  }),
  runtimeClassName: optional(29, string, "How the containers are run.", { isPointer: true }),
  enableServiceLinks: optional(30, boolean, "Whether services are added as environment variables.", {
    isPointer: true,
  }),
  preemptionPolicy: optional(31, string, "Whether the pod may preempt others: PreemptLowerPriority or Never.", {
    isPointer: true,
    values: ["Never", "PreemptLowerPriority"],
  }),
  overhead: optional(32, map(quantity), "Resources that the runtime needs in addition to the containers."),
  topologySpreadConstraints: optional(33, list(TopologySpreadConstraint), "How to spread pods over topology domains.", {
    list: "map",
    keys: ["topologyKey", "whenUnsatisfiable"],
    mergeKey: "topologyKey",
  }),
  ephemeralContainers: optional(34, list(EphemeralContainer), "Ephemeral containers for debugging.", {
    list: "map",
    keys: ["name"],
    mergeKey: "name",
  }),
  setHostnameAsFQDN: optional(35, boolean, "Whether the host name is the full name.", { isPointer: true }),
  os: optional(36, PodOS, "The operating system that the pod needs."),
  hostUsers: optional(37, boolean, "Whether the pod shares the node's users; false gives it users of its own.", {
    isPointer: true,
  }),
  schedulingGates: optional(38, list(PodSchedulingGate), "Gates that must be removed before the pod is scheduled.", {
    list: "map",
    keys: ["name"],
    mergeKey: "name",
  }),
  resourceClaims: optional(39, list(PodResourceClaim), "Resource claims that must be met before the pod starts.", {
    list: "map",
    keys: ["name"],
    mergeKey: "name",
    retainKeys: true,
  }),
  resources: optional(40, ResourceRequirements, "Resource requests and limits of the pod as a whole."),
  hostnameOverride: optional(41, string, "Host name of the pod, used without change.", { isPointer: true }),
  schedulingGroup: optional(43, PodSchedulingGroup, "Pods that are scheduled together with this one."),
  evictionResponders: optional(44, list(EvictionResponder), "Components that respond to requests to evict the pod.", {
    list: "map",
    keys: ["name"],
    mergeKey: "name",
    gated: true,
  }),
}));
export type PodSpec = z.infer<typeof PodSpec>;

export const PodTemplateSpec = message("io.k8s.api.core.v1.PodTemplateSpec", () => ({
  metadata: optional(1, ObjectMeta, "Metadata of the pods.", { printed: true }),
  spec: optional(2, PodSpec, "Desired state of the pods.", { printed: true }),
}));
export type PodTemplateSpec = z.infer<typeof PodTemplateSpec>;

export const Pod = message("io.k8s.api.core.v1.Pod", () => ({
  metadata: metadataField(),
  spec: optional(2, PodSpec, "Desired state of the pod.", { printed: true }),
  status: optional(3, PodStatus, "Observed state of the pod.", { printed: true }),
}));
export type Pod = z.infer<typeof Pod>;
