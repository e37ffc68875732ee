import type * as z from "zod";
import { int64, list, map, message, optional, quantity, required, string, time } from "../../meta/index.ts";
import { ContainerStatus } from "./container-status.ts";
import { ResourceRequirements } from "./resources.ts";

export const PodCondition = message("io.k8s.api.core.v1.PodCondition", () => ({
  type: required(1, string, "What the condition is about, such as PodScheduled, Initialized or Ready."),
  status: required(2, string, "True, False or Unknown."),
  lastProbeTime: optional(3, time, "When it was last checked.", { printed: true }),
  lastTransitionTime: optional(4, time, "When the status last changed.", { printed: true }),
  reason: optional(5, string, "Machine-readable reason, in CamelCase."),
  message: optional(6, string, "Human-readable message."),
  observedGeneration: optional(7, int64, "The generation that the condition was set for."),
}));
export type PodCondition = z.infer<typeof PodCondition>;

export const HostIP = message("io.k8s.api.core.v1.HostIP", () => ({
  ip: required(1, string, "The address."),
}));
export type HostIP = z.infer<typeof HostIP>;

export const PodIP = message("io.k8s.api.core.v1.PodIP", () => ({
  ip: required(1, string, "The address."),
}));
export type PodIP = z.infer<typeof PodIP>;

export const PodResourceClaimStatus = message("io.k8s.api.core.v1.PodResourceClaimStatus", () => ({
  name: required(1, string, "One of the pod's resource claims."),
  resourceClaimName: optional(2, string, "The ResourceClaim that was created for it.", { isPointer: true }),
}));
export type PodResourceClaimStatus = z.infer<typeof PodResourceClaimStatus>;

export const ContainerExtendedResourceRequest = message("io.k8s.api.core.v1.ContainerExtendedResourceRequest", () => ({
  containerName: required(1, string, "Name of the container."),
  resourceName: required(2, string, "The requested extended resource."),
  requestName: required(3, string, "The request of the claim for it."),
}));
export type ContainerExtendedResourceRequest = z.infer<typeof ContainerExtendedResourceRequest>;

export const PodExtendedResourceClaimStatus = message("io.k8s.api.core.v1.PodExtendedResourceClaimStatus", () => ({
  requestMappings: required(
    1,
    list(ContainerExtendedResourceRequest),
    "The request of the claim for each container's resource.",
    { list: "atomic" },
  ),
  resourceClaimName: required(2, string, "The ResourceClaim that was created for the pod."),
}));
export type PodExtendedResourceClaimStatus = z.infer<typeof PodExtendedResourceClaimStatus>;

export const NodeAllocatableMappedResources = message("io.k8s.api.core.v1.NodeAllocatableMappedResources", () => ({
  name: required(1, string, "Name of the resource."),
  quantity: required(2, quantity, "How much of it.", { isPointer: true }),
}));
export type NodeAllocatableMappedResources = z.infer<typeof NodeAllocatableMappedResources>;

export const NodeAllocatableOverheadResources = message("io.k8s.api.core.v1.NodeAllocatableOverheadResources", () => ({
  name: required(1, string, "Name of the resource."),
  perPod: optional(2, quantity, "How much of it for the pod."),
  perContainer: optional(3, quantity, "How much of it for each container."),
}));
export type NodeAllocatableOverheadResources = z.infer<typeof NodeAllocatableOverheadResources>;

export const VolumeHealthCondition = message("io.k8s.api.core.v1.VolumeHealthCondition", () => ({
  status: required(1, string, "What is wrong.", { values: ["DataLoss", "Degraded", "Inaccessible"] }),
  reason: required(2, string, "Machine-readable reason, in CamelCase."),
  message: optional(3, string, "Human-readable message."),
}));
export type VolumeHealthCondition = z.infer<typeof VolumeHealthCondition>;

export const PodVolumeHealth = message("io.k8s.api.core.v1.PodVolumeHealth", () => ({
  name: required(1, string, "The volume."),
  healthConditions: optional(2, list(VolumeHealthCondition), "What is wrong with it.", {
    list: "map",
    keys: ["status", "reason"],
    mergeKey: "status",
  }),
  lastTransitionTime: optional(3, time, "When that last changed.", { printed: true }),
}));
export type PodVolumeHealth = z.infer<typeof PodVolumeHealth>;

export const NodeAllocatableResourceClaimStatus = message(
  "io.k8s.api.core.v1.NodeAllocatableResourceClaimStatus",
  () => ({
    resourceClaimName: required(1, string, "The ResourceClaim."),
    containers: optional(2, list(string), "Containers that use it.", { list: "set" }),
    mapping: optional(4, list(NodeAllocatableMappedResources), "Node resources that its devices use.", {
      list: "map",
      keys: ["name"],
      mergeKey: "name",
    }),
    overhead: optional(5, list(NodeAllocatableOverheadResources), "Additional node resources that its devices use.", {
      list: "map",
      keys: ["name"],
      mergeKey: "name",
    }),
  }),
);
export type NodeAllocatableResourceClaimStatus = z.infer<typeof NodeAllocatableResourceClaimStatus>;

export const PodStatus = message("io.k8s.api.core.v1.PodStatus", () => ({
  phase: optional(1, string, "Pending, Running, Succeeded, Failed or Unknown.", {
    values: ["Failed", "Pending", "Running", "Succeeded", "Unknown"],
  }),
  conditions: optional(2, list(PodCondition), "Conditions of the pod.", {
    list: "map",
    keys: ["type"],
    mergeKey: "type",
  }),
  message: optional(3, string, "Human-readable message."),
  reason: optional(4, string, "Machine-readable reason, in CamelCase."),
  hostIP: optional(5, string, "Address of the node."),
  podIP: optional(6, string, "Address of the pod; the first of podIPs."),
  startTime: optional(7, time, "When the kubelet accepted the pod."),
  containerStatuses: optional(8, list(ContainerStatus), "State of the containers.", { list: "atomic" }),
  qosClass: optional(9, string, "Guaranteed, Burstable or BestEffort.", {
    values: ["BestEffort", "Burstable", "Guaranteed"],
  }),
  initContainerStatuses: optional(10, list(ContainerStatus), "State of the init containers.", { list: "atomic" }),
  nominatedNodeName: optional(11, string, "The node on which lower-priority pods are being preempted."),
  podIPs: optional(12, list(PodIP), "Addresses of the pod, at most one for each IP version.", {
    list: "map",
    keys: ["ip"],
    mergeKey: "ip",
  }),
  ephemeralContainerStatuses: optional(13, list(ContainerStatus), "State of the ephemeral containers.", {
    list: "atomic",
  }),
  resize: optional(14, string, "No longer used."),
  resourceClaimStatuses: optional(15, list(PodResourceClaimStatus), "State of the resource claims.", {
    list: "map",
    keys: ["name"],
    mergeKey: "name",
    retainKeys: true,
  }),
  hostIPs: optional(16, list(HostIP), "Addresses of the node.", { list: "atomic", mergeKey: "ip" }),
  observedGeneration: optional(17, int64, "The generation that the kubelet has seen."),
  extendedResourceClaimStatus: optional(18, PodExtendedResourceClaimStatus, "The claim for extended resources."),
  allocatedResources: optional(19, map(quantity), "Resources that the node has allocated to the pod."),
  resources: optional(20, ResourceRequirements, "Resources that are in effect for the pod."),
  nodeAllocatableResourceClaimStatuses: optional(
    21,
    list(NodeAllocatableResourceClaimStatus),
    "Node resources that claims use.",
    { list: "map", keys: ["resourceClaimName"], mergeKey: "resourceClaimName", gated: true },
  ),
  volumeHealth: optional(22, list(PodVolumeHealth), "The health of the volumes.", {
    list: "map",
    keys: ["name"],
    gated: true,
  }),
}));
export type PodStatus = z.infer<typeof PodStatus>;
