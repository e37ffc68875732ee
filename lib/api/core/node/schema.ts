import type * as z from "zod";
import {
  boolean,
  int32,
  int64,
  list,
  map,
  message,
  metadataField,
  optional,
  quantity,
  required,
  string,
  time,
} from "../../meta/index.ts";
import { Taint } from "../topology.ts";

export const ConfigMapNodeConfigSource = message("io.k8s.api.core.v1.ConfigMapNodeConfigSource", () => ({
  namespace: required(1, string, "Namespace of the ConfigMap."),
  name: required(2, string, "Name of the ConfigMap."),
  uid: optional(3, string, "Uid of the ConfigMap."),
  resourceVersion: optional(4, string, "Revision of the ConfigMap."),
  kubeletConfigKey: required(5, string, "The key that holds the kubelet's configuration."),
}));
export type ConfigMapNodeConfigSource = z.infer<typeof ConfigMapNodeConfigSource>;

export const NodeConfigSource = message("io.k8s.api.core.v1.NodeConfigSource", () => ({
  configMap: optional(2, ConfigMapNodeConfigSource, "The ConfigMap that holds the configuration."),
}));
export type NodeConfigSource = z.infer<typeof NodeConfigSource>;

export const NodePodPreemptionPolicy = message("io.k8s.api.core.v1.NodePodPreemptionPolicy", () => ({
  disableResizePreemption: optional(1, list(string), "Resources for which a resize preempts no pod.", { list: "set" }),
}));
export type NodePodPreemptionPolicy = z.infer<typeof NodePodPreemptionPolicy>;

export const NodeSpec = message("io.k8s.api.core.v1.NodeSpec", () => ({
  podCIDR: optional(1, string, "The block that the node's pods get addresses from; the first of podCIDRs."),
  externalID: optional(2, string, "No longer used."),
  providerID: optional(3, string, "The node's name at the cloud: `<provider>://<id>`."),
  unschedulable: optional(4, boolean, "Keeps new pods off the node."),
  taints: optional(5, list(Taint), "Taints that pods must tolerate.", { list: "atomic" }),
  configSource: optional(6, NodeConfigSource, "No longer used."),
  podCIDRs: optional(
    7,
    list(string),
    "The blocks that the node's pods get addresses from, at most one for each IP version.",
    { list: "set", merge: true },
  ),
  podPreemptionPolicy: optional(
    8,
    NodePodPreemptionPolicy,
    "Resources for which a resize of pods on the node may preempt others.",
    {
      gated: true,
    },
  ),
}));
export type NodeSpec = z.infer<typeof NodeSpec>;

export const NodeCondition = message("io.k8s.api.core.v1.NodeCondition", () => ({
  type: required(1, string, "What the condition is about, such as Ready or MemoryPressure."),
  status: required(2, string, "True, False or Unknown."),
  lastHeartbeatTime: optional(3, time, "When the condition was last reported.", { printed: true }),
  lastTransitionTime: optional(4, time, "When the status last changed.", { printed: true }),
  reason: optional(5, string, "Machine-readable reason, in CamelCase."),
  message: optional(6, string, "Human-readable message."),
}));
export type NodeCondition = z.infer<typeof NodeCondition>;

export const NodeAddress = message("io.k8s.api.core.v1.NodeAddress", () => ({
  type: required(1, string, "Hostname, InternalIP, ExternalIP, InternalDNS or ExternalDNS."),
  address: required(2, string, "The address."),
}));
export type NodeAddress = z.infer<typeof NodeAddress>;

export const DaemonEndpoint = message("io.k8s.api.core.v1.DaemonEndpoint", () => ({
  Port: required(1, int32, "The port's number."),
}));
export type DaemonEndpoint = z.infer<typeof DaemonEndpoint>;

export const NodeDaemonEndpoints = message("io.k8s.api.core.v1.NodeDaemonEndpoints", () => ({
  kubeletEndpoint: optional(1, DaemonEndpoint, "Port of the kubelet.", { printed: true }),
}));
export type NodeDaemonEndpoints = z.infer<typeof NodeDaemonEndpoints>;

export const NodeSwapStatus = message("io.k8s.api.core.v1.NodeSwapStatus", () => ({
  capacity: optional(1, int64, "Swap space in bytes.", { isPointer: true }),
}));
export type NodeSwapStatus = z.infer<typeof NodeSwapStatus>;

export const NodeSystemInfo = message("io.k8s.api.core.v1.NodeSystemInfo", () => ({
  machineID: required(1, string, "The machine's id, from /etc/machine-id."),
  systemUUID: required(2, string, "The machine's id from its firmware."),
  bootID: required(3, string, "Changes with each start of the machine."),
  kernelVersion: required(4, string, "Version of the kernel."),
  osImage: required(5, string, "Name of the operating system."),
  containerRuntimeVersion: required(6, string, "Name and version of the runtime: `containerd://2.0.0`."),
  kubeletVersion: required(7, string, "Version of the kubelet."),
  kubeProxyVersion: required(8, string, "No longer used."),
  operatingSystem: required(9, string, "linux or windows."),
  architecture: required(10, string, "The processor: amd64, arm64 and so on."),
  swap: optional(11, NodeSwapStatus, "Swap space of the node."),
  runningInUserNamespace: optional(12, boolean, "Whether the kubelet runs in a user namespace.", {
    isPointer: true,
  }),
}));
export type NodeSystemInfo = z.infer<typeof NodeSystemInfo>;

export const ContainerImage = message("io.k8s.api.core.v1.ContainerImage", () => ({
  names: optional(1, list(string), "Names of the image.", { printed: true, list: "atomic" }),
  sizeBytes: optional(2, int64, "Size of the image in bytes."),
}));
export type ContainerImage = z.infer<typeof ContainerImage>;

export const AttachedVolume = message("io.k8s.api.core.v1.AttachedVolume", () => ({
  name: required(1, string, "Name of the volume."),
  devicePath: required(2, string, "Path of the volume's device on the node."),
}));
export type AttachedVolume = z.infer<typeof AttachedVolume>;

export const NodeConfigStatus = message("io.k8s.api.core.v1.NodeConfigStatus", () => ({
  assigned: optional(1, NodeConfigSource, "The configuration that was assigned to the node."),
  active: optional(2, NodeConfigSource, "The configuration that the node uses."),
  lastKnownGood: optional(3, NodeConfigSource, "The last configuration that worked."),
  error: optional(4, string, "What is wrong with the assigned configuration."),
}));
export type NodeConfigStatus = z.infer<typeof NodeConfigStatus>;

export const NodeRuntimeHandlerFeatures = message("io.k8s.api.core.v1.NodeRuntimeHandlerFeatures", () => ({
  recursiveReadOnlyMounts: optional(1, boolean, "Whether mounts can be made read-only with everything below.", {
    isPointer: true,
  }),
  userNamespaces: optional(2, boolean, "Whether pods can have user namespaces of their own.", { isPointer: true }),
}));
export type NodeRuntimeHandlerFeatures = z.infer<typeof NodeRuntimeHandlerFeatures>;

export const NodeRuntimeHandler = message("io.k8s.api.core.v1.NodeRuntimeHandler", () => ({
  name: optional(1, string, "Name of the handler; empty for the default one.", { printed: true }),
  features: optional(2, NodeRuntimeHandlerFeatures, "What the handler can do."),
}));
export type NodeRuntimeHandler = z.infer<typeof NodeRuntimeHandler>;

export const NodeFeatures = message("io.k8s.api.core.v1.NodeFeatures", () => ({
  supplementalGroupsPolicy: optional(
    1,
    boolean,
    "Whether the runtime knows supplementalGroupsPolicy and users of containers.",
    { isPointer: true },
  ),
}));
export type NodeFeatures = z.infer<typeof NodeFeatures>;

export const NodeStatus = message("io.k8s.api.core.v1.NodeStatus", () => ({
  capacity: optional(1, map(quantity), "All that the node has, by resource."),
  allocatable: optional(2, map(quantity), "What pods may use of it."),
  phase: optional(3, string, "No longer used.", { values: ["Pending", "Running", "Terminated"] }),
  conditions: optional(4, list(NodeCondition), "What the kubelet and the node controller observe.", {
    list: "map",
    keys: ["type"],
    mergeKey: "type",
  }),
  addresses: optional(5, list(NodeAddress), "Addresses of the node.", {
    list: "map",
    keys: ["type"],
    mergeKey: "type",
  }),
  daemonEndpoints: optional(6, NodeDaemonEndpoints, "Ports of programs on the node.", { printed: true }),
  nodeInfo: optional(7, NodeSystemInfo, "Facts about the machine.", { printed: true }),
  images: optional(8, list(ContainerImage), "Images that are on the node.", { list: "atomic" }),
  volumesInUse: optional(9, list(string), "Attachable volumes that pods on the node use.", { list: "atomic" }),
  volumesAttached: optional(10, list(AttachedVolume), "Volumes that are attached to the node.", { list: "atomic" }),
  config: optional(11, NodeConfigStatus, "No longer used."),
  runtimeHandlers: optional(12, list(NodeRuntimeHandler), "The runtime's handlers.", { list: "atomic" }),
  features: optional(13, NodeFeatures, "What the runtime can do."),
  declaredFeatures: optional(14, list(string), "Features of the node that the scheduler reads.", { list: "atomic" }),
}));
export type NodeStatus = z.infer<typeof NodeStatus>;

export const Node = message("io.k8s.api.core.v1.Node", () => ({
  metadata: metadataField(),
  spec: optional(2, NodeSpec, "Desired state of the node.", { printed: true }),
  status: optional(3, NodeStatus, "Observed state of the node.", { printed: true }),
}));
export type Node = z.infer<typeof Node>;
