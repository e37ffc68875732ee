import type * as z from "zod";
import { ObjectReference } from "../../core/reference.ts";
import { boolean, int32, list, map, message, metadataField, optional, required, string } from "../../meta/index.ts";

export const EndpointConditions = message("io.k8s.api.discovery.v1.EndpointConditions", () => ({
  ready: optional(1, boolean, "Whether the endpoint accepts new connections. Defaults to true.", {
    isPointer: true,
  }),
  serving: optional(2, boolean, "Whether it can serve, even while it is terminating.", { isPointer: true }),
  terminating: optional(3, boolean, "Whether it is terminating.", { isPointer: true }),
}));
export type EndpointConditions = z.infer<typeof EndpointConditions>;

export const ForZone = message("io.k8s.api.discovery.v1.ForZone", () => ({
  name: required(1, string, "Name of the zone."),
}));
export type ForZone = z.infer<typeof ForZone>;

export const ForNode = message("io.k8s.api.discovery.v1.ForNode", () => ({
  name: required(1, string, "Name of the node."),
}));
export type ForNode = z.infer<typeof ForNode>;

export const EndpointHints = message("io.k8s.api.discovery.v1.EndpointHints", () => ({
  forZones: optional(1, list(ForZone), "Zones whose traffic should come here.", { list: "atomic" }),
  forNodes: optional(2, list(ForNode), "Nodes whose traffic should come here.", { list: "atomic" }),
}));
export type EndpointHints = z.infer<typeof EndpointHints>;

export const Endpoint = message("io.k8s.api.discovery.v1.Endpoint", () => ({
  addresses: required(1, list(string), "Addresses of the endpoint; clients use the first.", { list: "set" }),
  conditions: optional(2, EndpointConditions, "State of the endpoint.", { printed: true }),
  hostname: optional(3, string, "The host name of the endpoint, for its DNS record.", { isPointer: true }),
  targetRef: optional(4, ObjectReference, "The object behind the endpoint, mostly a pod."),
  deprecatedTopology: optional(5, map(string), "No longer written."),
  nodeName: optional(6, string, "The node that the endpoint is on.", { isPointer: true }),
  zone: optional(7, string, "The zone that the endpoint is in.", { isPointer: true }),
  hints: optional(8, EndpointHints, "The consumers that should use the endpoint."),
}));
export type Endpoint = z.infer<typeof Endpoint>;

export const EndpointSlicePort = message(
  "io.k8s.api.discovery.v1.EndpointPort",
  () => ({
    name: optional(1, string, "Name of the port, as the service has it.", { isPointer: true }),
    protocol: optional(2, string, "TCP, UDP or SCTP.", {
      default: "TCP",
      isPointer: true,
      values: ["SCTP", "TCP", "UDP"],
    }),
    port: optional(3, int32, "Number of the port.", { isPointer: true }),
    appProtocol: optional(4, string, "The application protocol, such as `kubernetes.io/h2c`.", { isPointer: true }),
  }),
  { atomic: true },
);
export type EndpointSlicePort = z.infer<typeof EndpointSlicePort>;

export const EndpointSlice = message("io.k8s.api.discovery.v1.EndpointSlice", () => ({
  metadata: metadataField(),
  endpoints: optional(2, list(Endpoint), "The endpoints, at most 1000.", { printed: true, list: "atomic" }),
  ports: optional(3, list(EndpointSlicePort), "Ports that all endpoints offer, at most 20000.", {
    printed: true,
    list: "atomic",
  }),
  addressType: required(4, string, "IPv4, IPv6 or FQDN. Immutable.", { values: ["FQDN", "IPv4", "IPv6"] }),
}));
export type EndpointSlice = z.infer<typeof EndpointSlice>;
