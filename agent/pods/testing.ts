import type { Runtime } from "#agent/runtime";
import { behaviour, type FakeRuntime, fakeRuntime } from "#agent/runtime/fake";
import { noVolumes, type PodVolumes } from "#agent/volumes";
import type { ConfigMap, Container, Pod, PodStatus, Secret, Service } from "#api";
import { clone, conflict, deepEqual, type Log, notFound, silentLog, systemClock } from "#base";
import { type HandClock, handClock } from "#test/make";
import { type NodeFacts, type PodApi, type PodManager, type PodsContext, podManager } from "./index.ts";

export { behaviour };

export interface Cluster {
  clock: HandClock;
  /** Lets everything that is under way come to its end, or to where only time helps. */
  settle(): Promise<void>;
  runtime: FakeRuntime;
  manager: PodManager;
  /** What the API holds, by name. */
  pods: Map<string, Pod>;
  configMaps: Map<string, ConfigMap>;
  secrets: Map<string, Secret>;
  services: Service[];
  /** `type reason message`, in order. */
  events: string[];
  /** How often a status was written. */
  writes: () => number;
  /** Called before each write of a status; may throw, or change the pod behind the writer's back. */
  beforeWrite: { hook: (pod: Pod) => void };
  create(pod: Pod): Pod;
  /** Asks for the pod's deletion, as kubectl does. */
  remove(name: string, graceSeconds?: number): void;
  change(name: string, change: (pod: Pod) => void): void;
  status(name: string): PodStatus;
  /** The same node after its agent was started again. */
  restart(): Promise<void>;
}

export interface ClusterOptions {
  /** Instead of the fake one; the clock is then the machine's. */
  runtime?: Runtime;
  node?: Partial<NodeFacts>;
  volumes?: (api: PodApi) => PodVolumes;
  pullError?: Parameters<typeof fakeRuntime>[0]["pullError"];
  registryCredentials?: NonNullable<PodsContext["registryCredentials"]>;
  log?: Log;
}

/** A node over the fake runtime and an API of a few maps. */
export function makeCluster(options: ClusterOptions = {}): Cluster {
  const settle = async (): Promise<void> => {
    // Quiet for a few turns, or stuck for many without a file at hand: then it waits for the clock.
    for (let stuck = 0, quiet = 0; stuck < 160 && quiet < 4; ) {
      await new Promise((resolve) => setTimeout(resolve, manager.busy > 0 ? 1 : 0));
      const isAtFile = process.getActiveResourcesInfo().some((name) => name.startsWith("FSReq"));
      stuck = isAtFile ? 0 : stuck + 1;
      quiet = manager.busy > 0 || isAtFile ? 0 : quiet + 1;
    }
  };
  const clock = handClock(Date.parse("2026-01-01T00:00:00Z"), settle);
  const fake = fakeRuntime({ clock, ...(options.pullError ? { pullError: options.pullError } : {}) });
  const runtime = (options.runtime ?? fake) as FakeRuntime;
  const pods = new Map<string, Pod>();
  const configMaps = new Map<string, ConfigMap>();
  const secrets = new Map<string, Secret>();
  const services: Service[] = [];
  const events: string[] = [];
  const beforeWrite = { hook: (_pod: Pod) => {} };
  let serial = 0;
  let written = 0;
  const resource = { group: "", resource: "pods" };
  const store = (pod: Pod): Pod => {
    const stored = clone(pod);
    stored.metadata.resourceVersion = String(++serial);
    pods.set(stored.metadata.name ?? "", stored);
    return stored;
  };
  const api: PodApi = {
    updateStatus: async (pod) => {
      const name = pod.metadata.name ?? "";
      beforeWrite.hook(pod);
      const there = pods.get(name);
      if (!there || there.metadata.uid !== pod.metadata.uid) throw notFound(resource, name);
      if (there.metadata.resourceVersion !== pod.metadata.resourceVersion) throw conflict(resource, name, "changed");
      if (deepEqual(there.status, pod.status)) throw new Error(`the same status of ${name} was written twice`);
      written++;
      const stored = store({ ...there, ...(pod.status ? { status: pod.status } : {}) });
      manager.set(stored);
      return stored;
    },
    get: async (_namespace, name) => {
      const there = pods.get(name);
      if (!there) throw notFound(resource, name);
      return there;
    },
    remove: async (pod) => {
      pods.delete(pod.metadata.name ?? "");
      manager.delete(pod.metadata.uid ?? "");
    },
    configMap: async (_namespace, name) => configMaps.get(name),
    secret: async (_namespace, name) => secrets.get(name),
    services: async (namespace) => services.filter(({ metadata }) => metadata.namespace === namespace),
  };
  const volumes = options.volumes?.(api) ?? noVolumes();
  const open = (): PodManager =>
    podManager({
      node: {
        name: "node-1",
        ips: ["192.168.0.1"],
        allocatable: { cpu: "4", memory: "8Gi" },
        memoryBytes: 8 * 2 ** 30,
        runtimeName: "fake",
        cgroupDriver: "none",
        cgroupRoot: "/kubepods",
        logFolder: "/nonexistent/logs",
        dns: { servers: ["10.96.0.10"], domain: "cluster.local" },
        reachable: false,
        ...options.node,
      },
      runtime,
      volumes,
      api,
      clock: options.runtime ? systemClock : clock,
      random: { bytes: (length) => new Uint8Array(length), fraction: () => 0 },
      log: options.log ?? silentLog,
      ...(options.registryCredentials ? { registryCredentials: options.registryCredentials } : {}),
      record: (_pod, type, reason, message) => events.push(`${type} ${reason} ${message}`),
    });
  let manager = open();
  return {
    clock,
    settle,
    runtime,
    get manager() {
      return manager;
    },
    pods,
    configMaps,
    secrets,
    services,
    events,
    writes: () => written,
    beforeWrite,
    create: (pod) => {
      const stored = store(pod);
      manager.set(stored);
      return stored;
    },
    remove: (name, graceSeconds = 30) => {
      const there = pods.get(name);
      if (!there) return;
      const next = clone(there);
      next.metadata.deletionTimestamp = new Date(clock.now() + graceSeconds * 1000).toISOString();
      next.metadata.deletionGracePeriodSeconds = graceSeconds;
      manager.set(store(next));
    },
    change: (name, change) => {
      const next = clone(pods.get(name)!);
      change(next);
      manager.set(store(next));
    },
    status: (name) => pods.get(name)?.status ?? {},
    restart: async () => {
      await manager.stop();
      manager = open();
      for (const pod of pods.values()) manager.set(pod);
      manager.synced();
    },
  };
}

let uids = 0;

/** A pod of one container named `main` unless told otherwise. */
export function makePod(
  name: string,
  changes: { spec?: Partial<NonNullable<Pod["spec"]>>; annotations?: Record<string, string> } = {},
): Pod {
  return {
    metadata: {
      name,
      namespace: "default",
      uid: `uid-${++uids}`,
      generation: 1,
      ...(changes.annotations ? { annotations: changes.annotations } : {}),
    },
    spec: { containers: [makeContainer("main")], restartPolicy: "Always", nodeName: "node-1", ...changes.spec },
  } as Pod;
}

export const makeContainer = (name: string, changes: Partial<Container> = {}): Container =>
  ({ name, image: "nginx:1", imagePullPolicy: "IfNotPresent", ...changes }) as Container;

/** A condition of a status as `<status> <reason>`. */
export const condition = (status: PodStatus, type: string) => {
  const found = status.conditions?.find((one) => one.type === type);
  return found && [found.status, found.reason].filter(Boolean).join(" ");
};
