import type { EndpointSlice, Node, Service } from "#api";
import { canonicalIp } from "#api/meta";

/** The node whose rules are written, within the source ranges of a row. */
export const node = { name: "here", zone: "a", ip: "192.0.2.1", podCidr: "10.244.0.0/24" };

export const nodeObject: Node = {
  metadata: { name: node.name, labels: { "topology.kubernetes.io/zone": node.zone } },
  spec: { podCIDR: node.podCidr, podCIDRs: [node.podCidr] },
  status: { addresses: [{ type: "InternalIP", address: node.ip }] },
};

/** One service, its endpoints and what of its status is set. */
export interface Row {
  service: Service;
  slice: EndpointSlice | undefined;
}

/** An endpoint as `IP[@node][ flags]`: r not ready, t terminating, z=ZONE as a hint. */
const endpoint = (text: string) => {
  const [where = "", ...flags] = text.split(" ");
  const [ip = "", nodeName] = where.split("@");
  const zones = flags.filter((flag) => flag.startsWith("z=")).map((flag) => ({ name: flag.slice(2) }));
  const isTerminating = flags.includes("t");
  return {
    addresses: [ip],
    ...(nodeName === undefined ? {} : { nodeName }),
    conditions: {
      ready: !isTerminating && !flags.includes("r"),
      serving: !flags.includes("r"),
      terminating: isTerminating,
    },
    ...(zones.length > 0 ? { hints: { forZones: zones } } : {}),
  };
};

let next = 0;
interface Wanted {
  spec?: object;
  endpoints?: string[];
  labels?: Record<string, string>;
  ingress?: { ip: string; ipMode?: string }[];
}
function row(name: string, { spec = {}, endpoints = [], labels = {}, ingress }: Wanted): Row {
  next++;
  const clusterIP = `10.96.1.${next}`;
  const whole = {
    type: "ClusterIP",
    clusterIP,
    clusterIPs: [clusterIP],
    ipFamilies: ["IPv4"],
    ipFamilyPolicy: "SingleStack",
    ports: [{ port: 80, protocol: "TCP", targetPort: 8080 }],
    ...spec,
  };
  const metadata = { name, namespace: "default", labels };
  const status = ingress ? { loadBalancer: { ingress } } : undefined;
  const ports = whole.ports.map((port) => ({
    name: (port as { name?: string }).name ?? "",
    port: 8000 + port.port,
    protocol: port.protocol,
  }));
  return {
    service: { metadata, spec: whole, ...(status ? { status } : {}) } as Service,
    slice:
      endpoints.length === 0
        ? undefined
        : ({
            metadata: {
              name: `${name}-1`,
              namespace: "default",
              labels: { ...labels, "kubernetes.io/service-name": name },
            },
            addressType: "IPv4",
            ports,
            endpoints: endpoints.map(endpoint),
          } as EndpointSlice),
  };
}

const nodePort = (number: number) => ({
  type: "NodePort",
  ports: [{ port: 80, protocol: "TCP", targetPort: 8080, nodePort: number }],
});
const balanced = (number: number) => ({ ...nodePort(number), type: "LoadBalancer" });
const both = ["10.244.0.5@here", "10.244.1.5@there"];
const affinity = { sessionAffinity: "ClientIP", sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } } };

/** The objects of all rows, for which upstream's rules have been recorded. */
export const rows: readonly Row[] = [
  row("plain", { endpoints: both }),
  row("one", { endpoints: ["10.244.1.6@there"] }),
  row("three", { endpoints: ["10.244.1.7", "10.244.1.8", "10.244.1.9"] }),
  row("empty", { spec: { ...nodePort(30001), externalIPs: ["198.51.100.1"] } }),
  row("unready", { endpoints: ["10.244.1.10 r"] }),
  row("terminating", { endpoints: ["10.244.1.11 t", "10.244.1.12 r"] }),
  row("node-port", { spec: { ...nodePort(30002), externalIPs: ["198.51.100.2"] }, endpoints: both }),
  row("two-ports", {
    spec: {
      ports: [
        { name: "dns", port: 53, protocol: "UDP" },
        { name: "dns-tcp", port: 53, protocol: "TCP" },
      ],
    },
    endpoints: both,
  }),
  row("sctp", { spec: { ports: [{ port: 80, protocol: "SCTP" }] }, endpoints: both }),
  row("internal-local", { spec: { internalTrafficPolicy: "Local" }, endpoints: both }),
  row("internal-elsewhere", { spec: { internalTrafficPolicy: "Local" }, endpoints: ["10.244.1.13@there"] }),
  row("external-local", {
    spec: { ...balanced(30003), externalTrafficPolicy: "Local", healthCheckNodePort: 30103 },
    endpoints: both,
    ingress: [{ ip: "203.0.113.3" }],
  }),
  row("external-elsewhere", {
    spec: { ...balanced(30004), externalTrafficPolicy: "Local", healthCheckNodePort: 30104 },
    endpoints: ["10.244.1.14@there"],
    ingress: [{ ip: "203.0.113.4" }, { ip: "203.0.113.5", ipMode: "Proxy" }],
  }),
  row("ranges", {
    spec: { ...balanced(30005), loadBalancerSourceRanges: ["192.0.2.0/24", "203.0.113.0/25"] },
    endpoints: both,
    ingress: [{ ip: "203.0.113.6" }],
  }),
  row("other-ranges", {
    spec: {
      ...balanced(30006),
      loadBalancerSourceRanges: ["10.0.0.0/8"],
      externalTrafficPolicy: "Local",
      healthCheckNodePort: 30106,
    },
    endpoints: both,
    ingress: [{ ip: "203.0.113.7" }, { ip: "203.0.113.8" }],
  }),
  row("ranges-of-nothing", {
    spec: { ...balanced(30007), loadBalancerSourceRanges: ["10.0.0.0/8"] },
    ingress: [{ ip: "203.0.113.9" }],
  }),
  row("affinity", { spec: { ...nodePort(30008), ...affinity }, endpoints: both }),
  row("affinity-local", {
    spec: { ...nodePort(30009), ...affinity, externalTrafficPolicy: "Local", internalTrafficPolicy: "Local" },
    endpoints: [...both, "10.244.0.6@here"],
  }),
  row("zones", { endpoints: ["10.244.1.15 z=a", "10.244.1.16 z=b"] }),
  row("of-another-proxy", { endpoints: both, labels: { "service.kubernetes.io/service-proxy-name": "other" } }),
];

/** An IPv4 address or block as one of IPv6: 10.96.1.5 becomes fd00:10:96:1::5, and 10.244.0.0/24 fd00:10:244::/64. */
function inIpv6(text: string): string {
  const [address = "", bits] = text.split("/");
  const [a, b, c, d] = address.split(".");
  const mapped = canonicalIp(`fd00:${a}:${b}:${c}::${d}`) ?? "";
  if (bits === undefined) return mapped;
  return `${mapped}/${Number(bits) === 0 ? 0 : Number(bits) === 32 ? 128 : 16 + 2 * Number(bits)}`;
}

/** An object with all its addresses and families in IPv6. */
const mapped = <T>(object: T): T =>
  JSON.parse(
    JSON.stringify(object)
      .replaceAll(/\b\d+\.\d+\.\d+\.\d+(?:\/\d+)?/g, inIpv6)
      .replaceAll('"IPv4"', '"IPv6"'),
  ) as T;

/** The same node and rows in IPv6. */
export const node6 = mapped(node);
export const rows6: readonly Row[] = rows.map((each) => mapped(each));
