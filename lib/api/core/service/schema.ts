import type * as z from "zod";
import {
  boolean,
  Condition,
  int32,
  intOrString,
  list,
  map,
  message,
  metadataField,
  optional,
  required,
  string,
} from "../../meta/index.ts";

export const ServicePort = message("io.k8s.api.core.v1.ServicePort", () => ({
  name: optional(1, string, "Name of the port; required if there is more than one."),
  protocol: optional(2, string, "TCP, UDP or SCTP.", { default: "TCP", values: ["SCTP", "TCP", "UDP"] }),
  port: required(3, int32, "The port at which the service answers."),
  targetPort: optional(4, intOrString, "The pods' port, by number or by name; `port` when absent."),
  nodePort: optional(5, int32, "The port on every node, for types NodePort and LoadBalancer."),
  appProtocol: optional(6, string, "The application protocol, such as `kubernetes.io/h2c`.", { isPointer: true }),
}));
export type ServicePort = z.infer<typeof ServicePort>;

export const ClientIPConfig = message("io.k8s.api.core.v1.ClientIPConfig", () => ({
  timeoutSeconds: optional(1, int32, "Duration of the affinity, in seconds.", { isPointer: true }),
}));
export type ClientIPConfig = z.infer<typeof ClientIPConfig>;

export const SessionAffinityConfig = message("io.k8s.api.core.v1.SessionAffinityConfig", () => ({
  clientIP: optional(1, ClientIPConfig, "Settings for affinity by client address."),
}));
export type SessionAffinityConfig = z.infer<typeof SessionAffinityConfig>;

export const ServiceSpec = message("io.k8s.api.core.v1.ServiceSpec", () => ({
  ports: optional(1, list(ServicePort), "The ports that the service offers.", {
    list: "map",
    keys: ["port", "protocol"],
    mergeKey: "port",
  }),
  selector: optional(
    2,
    map(string),
    "Labels of the service's pods; without it another component writes the endpoints.",
    { atomic: true },
  ),
  clusterIP: optional(3, string, "The service's address; None for a headless service."),
  type: optional(4, string, "ClusterIP, NodePort, LoadBalancer or ExternalName.", {
    default: "ClusterIP",
    values: ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"],
  }),
  externalIPs: optional(5, list(string), "Further addresses at which nodes accept traffic for the service.", {
    list: "atomic",
  }),
  sessionAffinity: optional(7, string, "None, or ClientIP to send a client to the same pod each time.", {
    default: "None",
    values: ["ClientIP", "None"],
  }),
  loadBalancerIP: optional(8, string, "The requested address of the load balancer; not every cloud supports it."),
  loadBalancerSourceRanges: optional(9, list(string), "Blocks of addresses that may reach the load balancer.", {
    list: "atomic",
  }),
  externalName: optional(10, string, "The DNS name that the service refers to, for type ExternalName."),
  externalTrafficPolicy: optional(
    11,
    string,
    "Cluster, or Local to use only endpoints of the node that received the external traffic.",
    { values: ["Cluster", "Local"] },
  ),
  healthCheckNodePort: optional(
    12,
    int32,
    "The port on which nodes report to load balancers whether they have local endpoints.",
  ),
  publishNotReadyAddresses: optional(13, boolean, "Whether pods that are not ready count as ready."),
  sessionAffinityConfig: optional(14, SessionAffinityConfig, "Settings for session affinity."),
  ipFamilyPolicy: optional(17, string, "SingleStack, PreferDualStack or RequireDualStack.", {
    isPointer: true,
    values: ["PreferDualStack", "RequireDualStack", "SingleStack"],
  }),
  clusterIPs: optional(18, list(string), "The service's addresses, at most one for each IP version.", {
    list: "atomic",
  }),
  ipFamilies: optional(19, list(string), "IPv4, IPv6 or both, in the order of clusterIPs.", {
    list: "atomic",
    values: ["", "IPv4", "IPv6"],
  }),
  allocateLoadBalancerNodePorts: optional(20, boolean, "Whether a LoadBalancer also gets node ports.", {
    isPointer: true,
  }),
  loadBalancerClass: optional(21, string, "Class of the load balancer implementation. Immutable.", {
    isPointer: true,
  }),
  internalTrafficPolicy: optional(
    22,
    string,
    "Cluster, or Local to use only endpoints of the node that sent the traffic.",
    {
      isPointer: true,
      values: ["Cluster", "Local"],
    },
  ),
  trafficDistribution: optional(
    23,
    string,
    "Which endpoints to prefer: PreferSameZone, PreferSameNode or PreferClose.",
    { isPointer: true },
  ),
}));
export type ServiceSpec = z.infer<typeof ServiceSpec>;

export const PortStatus = message("io.k8s.api.core.v1.PortStatus", () => ({
  port: required(1, int32, "The port."),
  protocol: required(2, string, "TCP, UDP or SCTP.", { values: ["SCTP", "TCP", "UDP"] }),
  error: optional(3, string, "The reason for which the port is not available.", { isPointer: true }),
}));
export type PortStatus = z.infer<typeof PortStatus>;

export const LoadBalancerIngress = message("io.k8s.api.core.v1.LoadBalancerIngress", () => ({
  ip: optional(1, string, "Address of the load balancer."),
  hostname: optional(2, string, "Name of the load balancer."),
  ipMode: optional(3, string, "VIP: packets arrive with the balancer's address; Proxy: with the node's.", {
    isPointer: true,
  }),
  ports: optional(4, list(PortStatus), "State of the ports.", { list: "atomic" }),
}));
export type LoadBalancerIngress = z.infer<typeof LoadBalancerIngress>;

export const LoadBalancerStatus = message("io.k8s.api.core.v1.LoadBalancerStatus", () => ({
  ingress: optional(1, list(LoadBalancerIngress), "Addresses of the load balancer.", { list: "atomic" }),
}));
export type LoadBalancerStatus = z.infer<typeof LoadBalancerStatus>;

export const ServiceStatus = message("io.k8s.api.core.v1.ServiceStatus", () => ({
  loadBalancer: optional(1, LoadBalancerStatus, "State of the load balancer.", { printed: true }),
  conditions: optional(2, list(Condition), "Conditions of the service.", {
    list: "map",
    keys: ["type"],
    mergeKey: "type",
  }),
}));
export type ServiceStatus = z.infer<typeof ServiceStatus>;

export const Service = message("io.k8s.api.core.v1.Service", () => ({
  metadata: metadataField(),
  spec: optional(2, ServiceSpec, "Desired state of the service.", { printed: true }),
  status: optional(3, ServiceStatus, "Observed state of the service.", { printed: true }),
}));
export type Service = z.infer<typeof Service>;
