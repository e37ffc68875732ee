import type { EndpointSlice, Service } from "#api";
import { make } from "#test/make";

/** A service of type ClusterIP at 10.96.0.10 with one TCP port 80. */
export const service = (spec: object = {}, more: object = {}): Service => {
  const ports = [{ port: 80, protocol: "TCP" }];
  const clusterIPs = ["10.96.0.10"];
  const base = { type: "ClusterIP", clusterIP: clusterIPs[0], clusterIPs, ipFamilies: ["IPv4"], ports };
  return make.service({ spec: { ...base, ...spec } as Service["spec"], ...more });
};

/** Endpoints as `IP[@node][ flags]`: r not ready, s not serving, t terminating, z=ZONE and n=NODE as hints. */
export const endpoint = (text: string) => {
  const [where = "", ...flags] = text.split(" ");
  const [ip = "", nodeName] = where.split("@");
  const hint = (letter: string) =>
    flags.filter((flag) => flag.startsWith(`${letter}=`)).map((flag) => ({ name: flag.slice(2) }));
  return {
    addresses: [ip],
    ...(nodeName === undefined ? {} : { nodeName }),
    conditions: {
      ready: !flags.includes("r") && !flags.includes("t"),
      serving: !flags.includes("s") && !flags.includes("r"),
      terminating: flags.includes("t"),
    },
    hints: { forZones: hint("z"), forNodes: hint("n") },
  };
};

/** A slice of the service `default/web` with its unnamed port at 8080. */
export const slice = (endpoints: string[], part: object = {}, name = "web-1"): EndpointSlice =>
  make.endpointSlice({
    metadata: { name, namespace: "default", labels: { "kubernetes.io/service-name": "web" } },
    addressType: "IPv4",
    ports: [{ name: "", port: 8080, protocol: "TCP" }],
    endpoints: endpoints.map(endpoint),
    ...part,
  } as EndpointSlice);
