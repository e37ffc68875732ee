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
  name: optional(1, string),
  value: optional(2, string),
}));
export type PodDNSConfigOption = z.infer<typeof PodDNSConfigOption>;

export const PodDNSConfig = message("io.k8s.api.core.v1.PodDNSConfig", () => ({
  nameservers: optional(1, list(string), undefined, { list: "atomic" }),
  searches: optional(2, list(string), undefined, { list: "atomic" }),
  options: optional(3, list(PodDNSConfigOption), undefined, { list: "atomic" }),
}));
export type PodDNSConfig = z.infer<typeof PodDNSConfig>;

export const HostAlias = message("io.k8s.api.core.v1.HostAlias", () => ({
  ip: required(1, string),
  hostnames: optional(2, list(string), undefined, { list: "atomic" }),
}));
export type HostAlias = z.infer<typeof HostAlias>;

export const PodOS = message("io.k8s.api.core.v1.PodOS", () => ({
  name: required(1, string),
}));
export type PodOS = z.infer<typeof PodOS>;

export const PodReadinessGate = message("io.k8s.api.core.v1.PodReadinessGate", () => ({
  conditionType: required(1, string),
}));
export type PodReadinessGate = z.infer<typeof PodReadinessGate>;

export const PodSchedulingGate = message("io.k8s.api.core.v1.PodSchedulingGate", () => ({
  name: required(1, string),
}));
export type PodSchedulingGate = z.infer<typeof PodSchedulingGate>;

export const PodSchedulingGroup = message("io.k8s.api.core.v1.PodSchedulingGroup", () => ({
  podGroupName: optional(1, string),
}));
export type PodSchedulingGroup = z.infer<typeof PodSchedulingGroup>;

export const PodSpec = message("io.k8s.api.core.v1.PodSpec", () => ({
  volumes: optional(1, list(Volume), undefined, { list: "map", keys: ["name"], mergeKey: "name", retainKeys: true }),
  containers: required(2, list(Container), undefined, { list: "map", keys: ["name"], mergeKey: "name" }),
  restartPolicy: optional(3, string, undefined, { default: "Always" }),
  terminationGracePeriodSeconds: optional(4, int64, undefined, { default: 30 }),
  activeDeadlineSeconds: optional(5, int64),
  dnsPolicy: optional(6, string, undefined, { default: "ClusterFirst" }),
  nodeSelector: optional(7, map(string), undefined, { atomic: true }),
  serviceAccountName: optional(8, string),
  serviceAccount: optional(9, string),
  nodeName: optional(10, string),
  hostNetwork: optional(11, boolean),
  hostPID: optional(12, boolean),
  hostIPC: optional(13, boolean),
  securityContext: optional(14, PodSecurityContext),
  imagePullSecrets: optional(15, list(LocalObjectReference), undefined, {
    list: "map",
    keys: ["name"],
    mergeKey: "name",
  }),
  hostname: optional(16, string),
  subdomain: optional(17, string),
  affinity: optional(18, Affinity),
  schedulerName: optional(19, string, undefined, { default: "default-scheduler" }),
  initContainers: optional(20, list(Container), undefined, { list: "map", keys: ["name"], mergeKey: "name" }),
  automountServiceAccountToken: optional(21, boolean),
  tolerations: optional(22, list(Toleration), undefined, { list: "atomic" }),
  hostAliases: optional(23, list(HostAlias), undefined, { list: "map", keys: ["ip"], mergeKey: "ip" }),
  priorityClassName: optional(24, string),
  priority: optional(25, int32),
  dnsConfig: optional(26, PodDNSConfig),
  shareProcessNamespace: optional(27, boolean),
  readinessGates: optional(28, list(PodReadinessGate), undefined, { list: "atomic" }),
  runtimeClassName: optional(29, string),
  enableServiceLinks: optional(30, boolean),
  preemptionPolicy: optional(31, string),
  overhead: optional(32, map(quantity)),
  topologySpreadConstraints: optional(33, list(TopologySpreadConstraint), undefined, {
    list: "map",
    keys: ["topologyKey", "whenUnsatisfiable"],
    mergeKey: "topologyKey",
  }),
  ephemeralContainers: optional(34, list(EphemeralContainer), undefined, {
    list: "map",
    keys: ["name"],
    mergeKey: "name",
  }),
  setHostnameAsFQDN: optional(35, boolean),
  os: optional(36, PodOS),
  hostUsers: optional(37, boolean),
  schedulingGates: optional(38, list(PodSchedulingGate), undefined, { list: "map", keys: ["name"], mergeKey: "name" }),
  resourceClaims: optional(39, list(PodResourceClaim), undefined, {
    list: "map",
    keys: ["name"],
    mergeKey: "name",
    retainKeys: true,
  }),
  resources: optional(40, ResourceRequirements),
  hostnameOverride: optional(41, string),
  schedulingGroup: optional(43, PodSchedulingGroup),
}));
export type PodSpec = z.infer<typeof PodSpec>;

export const PodTemplateSpec = message("io.k8s.api.core.v1.PodTemplateSpec", () => ({
  metadata: optional(1, ObjectMeta),
  spec: optional(2, PodSpec),
}));
export type PodTemplateSpec = z.infer<typeof PodTemplateSpec>;

export const Pod = message("io.k8s.api.core.v1.Pod", () => ({
  metadata: metadataField(),
  spec: optional(2, PodSpec),
  status: optional(3, PodStatus),
}));
export type Pod = z.infer<typeof Pod>;
