import type * as z from "zod";
import { int64, list, map, message, optional, quantity, required, string, time } from "../../meta/index.ts";
import { ContainerStatus } from "./container-status.ts";
import { ResourceRequirements } from "./resources.ts";

export const PodCondition = message("io.k8s.api.core.v1.PodCondition", () => ({
  type: required(1, string),
  status: required(2, string),
  lastProbeTime: optional(3, time),
  lastTransitionTime: optional(4, time),
  reason: optional(5, string),
  message: optional(6, string),
  observedGeneration: optional(7, int64),
}));
export type PodCondition = z.infer<typeof PodCondition>;

export const HostIP = message("io.k8s.api.core.v1.HostIP", () => ({
  ip: required(1, string),
}));
export type HostIP = z.infer<typeof HostIP>;

export const PodIP = message("io.k8s.api.core.v1.PodIP", () => ({
  ip: required(1, string),
}));
export type PodIP = z.infer<typeof PodIP>;

export const PodResourceClaimStatus = message("io.k8s.api.core.v1.PodResourceClaimStatus", () => ({
  name: required(1, string),
  resourceClaimName: optional(2, string),
}));
export type PodResourceClaimStatus = z.infer<typeof PodResourceClaimStatus>;

export const ContainerExtendedResourceRequest = message("io.k8s.api.core.v1.ContainerExtendedResourceRequest", () => ({
  containerName: required(1, string),
  resourceName: required(2, string),
  requestName: required(3, string),
}));
export type ContainerExtendedResourceRequest = z.infer<typeof ContainerExtendedResourceRequest>;

export const PodExtendedResourceClaimStatus = message("io.k8s.api.core.v1.PodExtendedResourceClaimStatus", () => ({
  requestMappings: required(1, list(ContainerExtendedResourceRequest), undefined, { list: "atomic" }),
  resourceClaimName: required(2, string),
}));
export type PodExtendedResourceClaimStatus = z.infer<typeof PodExtendedResourceClaimStatus>;

export const NodeAllocatableResourceClaimStatus = message(
  "io.k8s.api.core.v1.NodeAllocatableResourceClaimStatus",
  () => ({
    resourceClaimName: required(1, string),
    containers: optional(2, list(string), undefined, { list: "set" }),
    resources: required(3, map(quantity)),
  }),
);
export type NodeAllocatableResourceClaimStatus = z.infer<typeof NodeAllocatableResourceClaimStatus>;

export const PodStatus = message("io.k8s.api.core.v1.PodStatus", () => ({
  phase: optional(1, string),
  conditions: optional(2, list(PodCondition), undefined, { list: "map", keys: ["type"], mergeKey: "type" }),
  message: optional(3, string),
  reason: optional(4, string),
  hostIP: optional(5, string),
  podIP: optional(6, string),
  startTime: optional(7, time),
  containerStatuses: optional(8, list(ContainerStatus), undefined, { list: "atomic" }),
  qosClass: optional(9, string),
  initContainerStatuses: optional(10, list(ContainerStatus), undefined, { list: "atomic" }),
  nominatedNodeName: optional(11, string),
  podIPs: optional(12, list(PodIP), undefined, { list: "map", keys: ["ip"], mergeKey: "ip" }),
  ephemeralContainerStatuses: optional(13, list(ContainerStatus), undefined, { list: "atomic" }),
  resize: optional(14, string),
  resourceClaimStatuses: optional(15, list(PodResourceClaimStatus), undefined, {
    list: "map",
    keys: ["name"],
    mergeKey: "name",
    retainKeys: true,
  }),
  hostIPs: optional(16, list(HostIP), undefined, { list: "atomic", mergeKey: "ip" }),
  observedGeneration: optional(17, int64),
  extendedResourceClaimStatus: optional(18, PodExtendedResourceClaimStatus),
  allocatedResources: optional(19, map(quantity)),
  resources: optional(20, ResourceRequirements),
  nodeAllocatableResourceClaimStatuses: optional(21, list(NodeAllocatableResourceClaimStatus), undefined, {
    list: "atomic",
  }),
}));
export type PodStatus = z.infer<typeof PodStatus>;
