/** Builders: the smallest valid object of a kind, with the given part merged into it. They validate nothing. */
import type {
  ConfigMap,
  Deployment,
  EndpointSlice,
  Endpoints,
  Event,
  KubernetesObject,
  Lease,
  Namespace,
  Node,
  Pod,
  ReplicaSet,
  Secret,
  Service,
  ServiceAccount,
} from "#api";

/** Any part of an object, at any depth; lists are replaced as a whole. */
export type Part<T> = T extends readonly unknown[]
  ? T
  : T extends object
    ? { [K in keyof T]?: Part<T[K]> | undefined }
    : T;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function merge(base: Record<string, unknown>, part: Record<string, unknown>): Record<string, unknown> {
  const made = { ...base };
  for (const [key, value] of Object.entries(part)) {
    const before = made[key];
    if (value === undefined) delete made[key];
    else made[key] = isObject(value) && isObject(before) ? merge(before, value) : structuredClone(value);
  }
  return made;
}

/** Merges a part into an object; undefined removes a member. */
const withPart = <T>(base: T, part: Part<T>): T =>
  merge(structuredClone(base) as Record<string, unknown>, part as Record<string, unknown>) as T;

const builder =
  <T extends KubernetesObject>(apiVersion: string, kind: string, base: () => Omit<T, "apiVersion" | "kind">) =>
  (part: Part<T> = {} as Part<T>): T & { apiVersion: string; kind: string } =>
    withPart({ apiVersion, kind, ...base() } as unknown as T, part) as T & { apiVersion: string; kind: string };

const inDefault = (name: string) => ({ name, namespace: "default" });
const labels = { app: "web" };
const template = () => ({
  metadata: { labels: { ...labels } },
  spec: { containers: [{ name: "main", image: "example.com/web:1" }] },
});

export const make = {
  pod: builder<Pod>("v1", "Pod", () => ({
    metadata: inDefault("web"),
    spec: { containers: [{ name: "main", image: "example.com/web:1" }] },
  })),
  node: builder<Node>("v1", "Node", () => ({
    metadata: { name: "node-1" },
    status: {
      capacity: { cpu: "4", memory: "8Gi", pods: "110" },
      conditions: [{ type: "Ready", status: "True" }],
      addresses: [{ type: "InternalIP", address: "192.0.2.1" }],
    },
  })),
  namespace: builder<Namespace>("v1", "Namespace", () => ({ metadata: { name: "team" } })),
  configMap: builder<ConfigMap>("v1", "ConfigMap", () => ({ metadata: inDefault("settings"), data: { key: "value" } })),
  secret: builder<Secret>("v1", "Secret", () => ({ metadata: inDefault("keys"), data: { key: "dmFsdWU=" } })),
  serviceAccount: builder<ServiceAccount>("v1", "ServiceAccount", () => ({ metadata: inDefault("default") })),
  service: builder<Service>("v1", "Service", () => ({
    metadata: inDefault("web"),
    spec: { selector: { ...labels }, ports: [{ port: 80 }] },
  })),
  endpoints: builder<Endpoints>("v1", "Endpoints", () => ({
    metadata: inDefault("web"),
    subsets: [{ addresses: [{ ip: "10.0.0.1" }], ports: [{ port: 80 }] }],
  })),
  endpointSlice: builder<EndpointSlice>("discovery.k8s.io/v1", "EndpointSlice", () => ({
    metadata: { ...inDefault("web-abcde"), labels: { "kubernetes.io/service-name": "web" } },
    addressType: "IPv4",
    ports: [{ port: 80 }],
    endpoints: [{ addresses: ["10.0.0.1"], conditions: { ready: true } }],
  })),
  event: builder<Event>("v1", "Event", () => ({
    metadata: inDefault("web.1"),
    involvedObject: { kind: "Pod", namespace: "default", name: "web" },
    reason: "Started",
    message: "Started container main",
    type: "Normal",
  })),
  lease: builder<Lease>("coordination.k8s.io/v1", "Lease", () => ({
    metadata: inDefault("leader"),
    spec: { holderIdentity: "a", leaseDurationSeconds: 15 },
  })),
  deployment: builder<Deployment>("apps/v1", "Deployment", () => ({
    metadata: inDefault("web"),
    spec: { selector: { matchLabels: { ...labels } }, template: template() },
  })),
  replicaSet: builder<ReplicaSet>("apps/v1", "ReplicaSet", () => ({
    metadata: inDefault("web"),
    spec: { selector: { matchLabels: { ...labels } }, template: template() },
  })),
};

export { type HandClock, handClock, turn } from "./clock.ts";
export { Dice } from "./dice.ts";
export { served } from "./served.ts";
