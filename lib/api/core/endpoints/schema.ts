import type * as z from "zod";
import { int32, list, message, metadataField, optional, required, string } from "../../meta/index.ts";
import { ObjectReference } from "../reference.ts";

export const EndpointAddress = message(
  "io.k8s.api.core.v1.EndpointAddress",
  () => ({
    ip: required(1, string, "The address."),
    targetRef: optional(2, ObjectReference, "The object behind the address, mostly a pod."),
    hostname: optional(3, string, "The host name of the endpoint, for its DNS record."),
    nodeName: optional(4, string, "The node that the endpoint is on.", { isPointer: true }),
  }),
  { atomic: true },
);
export type EndpointAddress = z.infer<typeof EndpointAddress>;

export const EndpointPort = message(
  "io.k8s.api.core.v1.EndpointPort",
  () => ({
    name: optional(1, string, "Name of the port, as the service has it."),
    port: required(2, int32, "Number of the port."),
    protocol: optional(3, string, "TCP, UDP or SCTP.", { default: "TCP", values: ["SCTP", "TCP", "UDP"] }),
    appProtocol: optional(4, string, "The application protocol, such as `kubernetes.io/h2c`.", { isPointer: true }),
  }),
  { atomic: true },
);
export type EndpointPort = z.infer<typeof EndpointPort>;

export const EndpointSubset = message("io.k8s.api.core.v1.EndpointSubset", () => ({
  addresses: optional(1, list(EndpointAddress), "Addresses that are ready.", { list: "atomic" }),
  notReadyAddresses: optional(2, list(EndpointAddress), "Addresses that are not ready.", { list: "atomic" }),
  ports: optional(3, list(EndpointPort), "Ports that all these addresses offer.", { list: "atomic" }),
}));
export type EndpointSubset = z.infer<typeof EndpointSubset>;

export const Endpoints = message("io.k8s.api.core.v1.Endpoints", () => ({
  metadata: metadataField(),
  subsets: optional(
    2,
    list(EndpointSubset),
    "Addresses with their ports; each address with each port is an endpoint.",
    { list: "atomic" },
  ),
}));
export type Endpoints = z.infer<typeof Endpoints>;
