import { join } from "node:path";
import { CountUpdates, CsiVolumes, Drivers, NodeObjects, Registration } from "#agent/csi";
import { amountOf, defaultThresholds, parseThresholds } from "#agent/eviction";
import { type Held, type HostFacts, parseReserved } from "#agent/node";
import { type NodeFacts, noVolumes, PodCgroups, type PodsContext, type PodTokens, podVolumes } from "#agent/pods";
import { CgroupTree } from "#agent/runtime";
import { csiDrivers, pods } from "#api";
import { ignoreNotFound } from "#base";
import { createRecorder } from "#events";
import type { Component } from "./components.ts";
import type { KubeletOptions } from "./kubelet.ts";
import type { NodePods } from "./node-pods.ts";
import { podApi, podObjects } from "./pod-api.ts";

/** What pods may not request: what is reserved, and what hard evictions keep free. Throws an Error for a wrong text. */
export function heldOf({ reserved = {}, eviction = {} }: KubeletOptions, facts: HostFacts): Held {
  const thresholds = parseThresholds(eviction.hard ?? defaultThresholds);
  const kept = (signal: string, capacity: number): number => {
    const threshold = thresholds.find((one) => one.signal === signal);
    return threshold ? amountOf(threshold, { available: 0, capacity }) : 0;
  };
  return {
    reserved: [reserved.system ?? "", reserved.kube ?? ""].map(parseReserved),
    memoryBytes: kept("memory.available", facts.memoryBytes),
    storageBytes: kept("nodefs.available", facts.disk.bytes),
  };
}

/** The cgroups above the containers, where neither the runtime nor systemd makes them. */
export function podCgroups(
  { clock, log }: KubeletOptions,
  { node }: PodsContext,
  { nodePods, allocatable }: { nodePods: NodePods; allocatable: Record<string, string> },
): PodCgroups | undefined {
  if (node.cgroupDriver !== "cgroupfs") return undefined;
  const { cgroupRoot: root, isUnified } = node;
  return new PodCgroups({
    tree: new CgroupTree(),
    root,
    isUnified,
    allocatable,
    pods: () => nodePods.list(),
    clock,
    log,
  });
}

/** The machine's facts that pods depend on. */
export async function nodeFacts(
  options: KubeletOptions,
  facts: HostFacts,
  allocatable: Record<string, string>,
): Promise<NodeFacts> {
  const { name, runtime, folder, simulated, cgroupRoot = "/kubepods" } = options;
  const info = await runtime.info();
  return {
    name,
    ips: facts.ips,
    allocatable,
    memoryBytes: facts.memoryBytes,
    runtimeName: info.name,
    cgroupDriver: info.cgroupDriver,
    // systemd writes the path as one name.
    cgroupRoot: info.cgroupDriver === "systemd" ? cgroupRoot.slice(1) : cgroupRoot,
    isUnified: await new CgroupTree().isUnified(),
    logFolder: join(folder, "logs"),
    seccompFolder: join(folder, "seccomp"),
    appArmor: facts.appArmor,
    strictGroups: info.features.strictGroups,
    ...(options.dns ? { dns: options.dns } : {}),
    resolvConf: options.resolvConf,
    reachable: !simulated,
  };
}

/** The parts that volumes of CSI drivers need. */
export interface Csi {
  components: Component[];
  volumes: CsiVolumes;
}

interface VolumeParts {
  tokens: PodTokens;
  csi: Csi | undefined;
}

/** Volumes of CSI drivers, with the components that find the drivers. */
export function csiOf({ name, client, clock, log, folder }: KubeletOptions, tokens: PodTokens): Csi {
  const { secrets } = podObjects(client, clock);
  const objects = new NodeObjects(client, name);
  const drivers = new Drivers({ objects, log });
  const registry = join(folder, "plugins_registry");
  const csiDriver = (driver: string) => ignoreNotFound(client.get(csiDrivers, { name: driver }));
  return {
    components: [
      {
        name: "CSI drivers",
        start: () => new Registration({ folder: registry, drivers, clock, log }).start(),
      },
      { name: "CSI counts", start: () => new CountUpdates({ drivers, csiDriver, clock, log }).start() },
    ],
    volumes: new CsiVolumes({
      node: name,
      drivers,
      csiDriver,
      secret: (namespace, of) => secrets.fresh(namespace, of),
      tokens,
      clock,
    }),
  };
}

/** What the pods of the node work with. */
export function podsContext(options: KubeletOptions, facts: NodeFacts, { tokens, csi }: VolumeParts): PodsContext {
  const { name, client, runtime, clock, random, log, folder, simulated, registryCredentials } = options;
  const objects = podObjects(client, clock);
  const api = podApi(client, objects, options.services);
  const record = createRecorder({ client, clock, log, component: "kubelet", host: name });
  const volumes = simulated
    ? noVolumes()
    : podVolumes({
        folder: join(folder, "pods"),
        memory: true,
        configMap: api.configMap,
        secret: api.secret,
        recent: {
          configMap: (namespace, of) => objects.configMaps.recent(namespace, of),
          secret: (namespace, of) => objects.secrets.recent(namespace, of),
        },
        host: { ips: facts.ips },
        allocatable: facts.allocatable,
        tokens,
        drivers: csi?.volumes,
      });
  return {
    node: facts,
    runtime,
    volumes,
    api,
    clock,
    random,
    log,
    registryCredentials,
    record: (pod, type, reason, message, fieldPath) =>
      record({ kind: pods, object: pod, ...(fieldPath === undefined ? {} : { fieldPath }) }, type, reason, message),
  };
}
