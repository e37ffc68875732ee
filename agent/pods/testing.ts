import type { Runtime } from "#agent/runtime";
import { behaviour, type FakeRuntime, fakeRuntime } from "#agent/runtime/fake";
import { noVolumes, type PodVolumes } from "#agent/volumes";
import { type ConfigMap, type Container, type Pod, type PodStatus, pods, type Secret, type Service } from "#api";
import { decode } from "#api/meta";
import { clone, conflict, deepEqual, type Log, notFound, silentLog, systemClock } from "#base";
import { type HandClock, handClock } from "#test/make";
import { type NodeFacts, type PodApi, PodManager, type PodsContext } from "./index.ts";

export { behaviour };

export interface ClusterOptions {
  /** Instead of the fake runtime. The clock is then the machine's. */
  runtime?: Runtime | undefined;
  node?: Partial<NodeFacts>;
  volumes?: (api: PodApi) => PodVolumes;
  pullError?: Parameters<typeof fakeRuntime>[0]["pullError"];
  registryCredentials?: NonNullable<PodsContext["registryCredentials"]>;
  log?: Log;
}

/** The objects that the API stores, with an API of a few maps over them. */
class TestApi implements PodApi {
  readonly pods = new Map<string, Pod>();
  readonly configMaps = new Map<string, ConfigMap>();
  readonly secrets = new Map<string, Secret>();
  readonly allServices: Service[] = [];
  /** Called before each write of a status; may throw, or change the pod behind the writer's back. */
  readonly beforeWrite = { hook: (_pod: Pod) => {} };
  writes = 0;
  #serial = 0;
  readonly #manager: () => PodManager;

  constructor(manager: () => PodManager) {
    this.#manager = manager;
  }

  store(pod: Pod): Pod {
    const stored = clone(pod);
    stored.metadata.resourceVersion = String(++this.#serial);
    this.pods.set(stored.metadata.name ?? "", stored);
    return stored;
  }

  async updateStatus(pod: Pod): Promise<Pod> {
    const name = pod.metadata.name ?? "";
    this.beforeWrite.hook(pod);
    const present = this.pods.get(name);
    if (!present || present.metadata.uid !== pod.metadata.uid) throw notFound(resource, name);
    if (present.metadata.resourceVersion !== pod.metadata.resourceVersion) throw conflict(resource, name, "changed");
    // As the API server stores it, without empty maps.
    const { status } = decode(pods.shape, { status: pod.status as never }).object as Pick<Pod, "status">;
    if (deepEqual(present.status, status)) throw new Error(`the same status of ${name} was written twice`);
    this.writes++;
    const stored = this.store({ ...present, ...(status ? { status } : {}) });
    this.#manager().set(stored);
    return stored;
  }

  async get(_namespace: string, name: string): Promise<Pod> {
    const present = this.pods.get(name);
    if (!present) throw notFound(resource, name);
    return present;
  }

  async remove(pod: Pod): Promise<void> {
    this.pods.delete(pod.metadata.name ?? "");
    void this.#manager().delete(pod.metadata.uid ?? "");
  }

  async configMap(_namespace: string, name: string): Promise<ConfigMap | undefined> {
    return this.configMaps.get(name);
  }

  async secret(_namespace: string, name: string): Promise<Secret | undefined> {
    return this.secrets.get(name);
  }

  async services(namespace: string): Promise<Service[]> {
    return this.allServices.filter(({ metadata }) => metadata.namespace === namespace);
  }
}

const resource = { group: "", resource: "pods" };

/** A node over the fake runtime and an API of a few maps. */
export class Cluster {
  readonly clock: HandClock = handClock(Date.parse("2026-01-01T00:00:00Z"), () => this.settle());
  readonly runtime: FakeRuntime;
  /** `type reason message`, in order. */
  readonly events: string[] = [];
  readonly #api = new TestApi(() => this.manager);
  readonly #context: PodsContext;
  #manager: PodManager;

  constructor(options: ClusterOptions = {}) {
    this.runtime = (options.runtime ?? fakeRuntime({ clock: this.clock, pullError: options.pullError })) as FakeRuntime;
    this.#context = {
      node: { ...testNode, ...options.node },
      runtime: this.runtime,
      volumes: options.volumes?.(this.#api) ?? noVolumes(),
      api: this.#api,
      clock: options.runtime ? systemClock : this.clock,
      random: { bytes: (length) => new Uint8Array(length), fraction: () => 0 },
      log: options.log ?? silentLog,
      registryCredentials: options.registryCredentials,
      record: (_pod, type, reason, message) => this.events.push(`${type} ${reason} ${message}`),
    };
    this.#manager = new PodManager(this.#context);
  }

  get manager(): PodManager {
    return this.#manager;
  }

  /** The pods that the API stores, by name. */
  get pods(): Map<string, Pod> {
    return this.#api.pods;
  }

  get configMaps(): Map<string, ConfigMap> {
    return this.#api.configMaps;
  }

  get secrets(): Map<string, Secret> {
    return this.#api.secrets;
  }

  get services(): Service[] {
    return this.#api.allServices;
  }

  get beforeWrite(): { hook: (pod: Pod) => void } {
    return this.#api.beforeWrite;
  }

  /** How often a status was written. */
  writes(): number {
    return this.#api.writes;
  }

  /** Resolves when nothing is left to do, or when only time helps. */
  async settle(): Promise<void> {
    // Quiet for a few turns, or stuck for many without a pending file operation: then it waits for the clock.
    for (let stuck = 0, quiet = 0; stuck < 160 && quiet < 4; ) {
      await new Promise((resolve) => setTimeout(resolve, this.manager.busy > 0 ? 1 : 0));
      const isAtFile = process.getActiveResourcesInfo().some((name) => name.startsWith("FSReq"));
      stuck = isAtFile ? 0 : stuck + 1;
      quiet = this.manager.busy > 0 || isAtFile ? 0 : quiet + 1;
    }
  }

  create(pod: Pod): Pod {
    const stored = this.#api.store(pod);
    this.manager.set(stored);
    return stored;
  }

  /** Requests the pod's deletion, as kubectl does. */
  remove(name: string, graceSeconds = 30): void {
    const present = this.pods.get(name);
    if (!present) return;
    const next = clone(present);
    next.metadata.deletionTimestamp = new Date(this.clock.now() + graceSeconds * 1000).toISOString();
    next.metadata.deletionGracePeriodSeconds = graceSeconds;
    this.manager.set(this.#api.store(next));
  }

  change(name: string, change: (pod: Pod) => void): void {
    const next = clone(this.pods.get(name)!);
    change(next);
    this.manager.set(this.#api.store(next));
  }

  status(name: string): PodStatus {
    return this.pods.get(name)?.status ?? {};
  }

  /** Replaces the pod manager by a new one, as a restart of the agent does. */
  async restart(): Promise<void> {
    await this.manager.stop();
    this.#manager = new PodManager(this.#context);
    for (const pod of this.pods.values()) this.manager.set(pod);
    this.manager.synced();
  }
}

export const testNode: NodeFacts = {
  name: "node-1",
  ips: ["192.168.0.1"],
  allocatable: { cpu: "4", memory: "8Gi" },
  memoryBytes: 8 * 2 ** 30,
  runtimeName: "fake",
  cgroupDriver: "none",
  cgroupRoot: "/kubepods",
  isUnified: false,
  logFolder: "/nonexistent/logs",
  seccompFolder: "/nonexistent/seccomp",
  appArmor: false,
  strictGroups: false,
  dns: { servers: () => ["10.96.0.10"], domain: "cluster.local" },
  reachable: false,
};

let uids = 0;

/** A pod. Defaults to one container named `main`. */
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
