import type { EndpointSlice, Service } from "#api";

const service = (name: string, spec: Record<string, unknown>, namespace = "default"): Service => ({
  metadata: { name, namespace },
  spec,
});

const port = (name: string, number: number, protocol = "TCP") => ({ name, port: number, protocol });

interface SliceOptions {
  service: string;
  addressType?: "IPv4" | "IPv6";
  endpoints: { ip: string; hostname?: string; ready?: boolean }[];
  ports?: { name?: string; port: number; protocol: string }[];
}

function slice(
  name: string,
  { service: owner, addressType = "IPv4", endpoints, ports = [] }: SliceOptions,
): EndpointSlice {
  return {
    metadata: { name, namespace: "default", labels: { "kubernetes.io/service-name": owner } },
    addressType,
    endpoints: endpoints.map(({ ip, hostname, ready }) => ({
      addresses: [ip],
      ...(hostname === undefined ? {} : { hostname }),
      conditions: ready === undefined ? {} : { ready },
    })),
    ports,
  };
}

const external = (externalName: string) => ({ type: "ExternalName", externalName });

/** Namespaces beside `default` and `kube-system`. */
export const extraNamespaces = ["empty"];

/** The objects that questions of the rows are about. */
export const services: Service[] = [
  service("web", {
    clusterIP: "10.96.0.20",
    ports: [port("http", 80), port("https", 443), port("metrics", 80, "UDP")],
  }),
  service("unnamed", { clusterIP: "10.96.0.21", ports: [{ port: 80, protocol: "TCP" }] }),
  service("lonely", { clusterIP: "10.96.0.22", ports: [port("http", 80)] }),
  service("set", { clusterIP: "None", ports: [port("http", 80), port("admin", 8080)] }),
  service("noports", { clusterIP: "None" }),
  service("silent", { clusterIP: "None", ports: [port("http", 80)] }),
  service("both", { clusterIP: "None", ports: [port("http", 80)] }),
  service("large", { clusterIP: "None", ports: [port("http", 80)] }),
  service("outside", external("www.example.test")),
  service("outside-gone", external("gone.example.test")),
  service("outside-chain", external("chain.example.test")),
  service("inside", external("web.default.svc.cluster.local")),
  service("inside-set", external("set.default.svc.cluster.local.")),
  service("inside-gone", external("gone.default.svc.cluster.local")),
  service("chain", external("inside.default.svc.cluster.local")),
  service("itself", external("itself.default.svc.cluster.local")),
  service("loop-a", external("loop-b.default.svc.cluster.local")),
  service("loop-b", external("loop-a.default.svc.cluster.local")),
  service("kube-dns", { clusterIP: "10.96.0.10", ports: [port("dns", 53, "UDP"), port("dns-tcp", 53)] }, "kube-system"),
];

const http = port("http", 8080);

export const slices: EndpointSlice[] = [
  slice("web-1", { service: "web", endpoints: [{ ip: "10.1.0.1", ready: true }], ports: [http, port("https", 8443)] }),
  slice("set-1", {
    service: "set",
    endpoints: [
      { ip: "10.1.0.2", hostname: "set-0", ready: true },
      { ip: "10.1.0.3", hostname: "set-1" },
      { ip: "10.1.0.4", ready: true },
      { ip: "10.1.0.5", hostname: "set-3", ready: false },
    ],
    ports: [http, port("admin", 8081)],
  }),
  // The same address twice, as while a slice is being divided.
  slice("set-2", {
    service: "set",
    endpoints: [{ ip: "10.1.0.2", hostname: "set-0" }, { ip: "10.1.0.6" }],
    ports: [http],
  }),
  slice("noports-1", { service: "noports", endpoints: [{ ip: "10.1.0.7", hostname: "host" }] }),
  slice("both-1", {
    service: "both",
    endpoints: [{ ip: "10.1.0.8", hostname: "a" }, { ip: "10.1.0.9" }],
    ports: [http],
  }),
  slice("both-2", {
    service: "both",
    addressType: "IPv6",
    endpoints: [{ ip: "fd00:1::8", hostname: "a" }, { ip: "fd00:1::" }],
    ports: [http],
  }),
  slice("large-1", {
    service: "large",
    endpoints: Array.from({ length: 90 }, (_, index) => ({ ip: `10.2.0.${index + 1}` })),
    ports: [http],
  }),
  slice("orphan-1", { service: "orphan", endpoints: [{ ip: "10.1.0.40" }], ports: [http] }),
];
