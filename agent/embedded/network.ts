import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { parseCidr } from "#api/meta";
import { messageOf } from "#base";
import { type DataFolder, Refusal } from "./data-folder.ts";

/** What a cluster has for itself of this machine. Chosen at the first start of a data folder, and kept in it. */
export interface ClusterNetwork {
  /** The CNI network's name. */
  name: string;
  bridge: string;
  /** Addresses of the cluster's pods. */
  podCidr: string;
  /** Where the cgroups of its pods lie, such as `/skiff-0a1b2c3d`. */
  cgroupRoot: string;
}

export interface NetworkOptions {
  /** As asked for; absent: a block that is free on this machine. */
  podCidr?: string | undefined;
  serviceCidr: string;
}

/** A block of addresses that something on this machine uses. */
interface Taken {
  cidr: string;
  /** Such as `the cluster in /root/.skiff`. */
  by: string;
}

/** What the machine knows, beside what clusters say of themselves. */
export interface Machine {
  /** Clusters of this machine tell one another here what they have. */
  clusters: string;
  /** IPv4 routes, the default one left out. */
  routes(): { cidr: string; device: string }[];
}

export const thisMachine: Machine = { clusters: "/var/lib/skiff/clusters", routes: machineRoutes };

/** Addresses of pods where nothing else is asked for or taken. */
export const defaultBlock = "10.244.0.0/16";
/** Blocks to choose from, the usual one first. */
const candidates = [...range(244, 255), ...range(128, 243)].map((second) => `10.${second}.0.0/16`);

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

/** Whether two blocks share an address. */
export function overlaps(a: string, b: string): boolean {
  const [one, other] = [parseCidr(a), parseCidr(b)];
  if (!one || !other || one.version !== other.version) return false;
  const [wide, narrow] = one.prefix <= other.prefix ? [one, other] : [other, one];
  const bits = BigInt((wide.version === 4 ? 32 : 128) - wide.prefix);
  return wide.value >> bits === narrow.value >> bits;
}

/** Throws Refusal where addresses of pods and of services overlap. */
export function checkBlocks({ podCidr, serviceCidr }: NetworkOptions): void {
  if (podCidr !== undefined && overlaps(podCidr, serviceCidr)) {
    throw new Refusal(`--pod-cidr ${podCidr} and --service-cidr ${serviceCidr} overlap: choose two blocks that do not`);
  }
}

/**
 * The network of a data folder: what it has from before, or a new one that no other cluster and no route of the machine
 * uses. Throws Refusal where the addresses that it must have are taken, saying by what.
 */
export function claimNetwork(folder: DataFolder, options: NetworkOptions, machine = thisMachine): ClusterNetwork {
  const release = lockClusters(machine.clusters);
  try {
    const others = otherClusters(folder, machine.clusters);
    const known = readNetwork(folder) ?? legacyNetwork(folder, others, options);
    const network: ClusterNetwork = known ?? newNetwork();
    const routes = machine.routes().filter(({ device }) => device !== network.bridge);
    const taken: Taken[] = [
      ...others.map(({ root, podCidr }) => ({ cidr: podCidr, by: `the cluster in ${root}` })),
      ...routes.map(({ cidr, device }) => ({ cidr, by: `the route to ${cidr} on ${device}` })),
    ];
    const wanted = options.podCidr ?? (network.podCidr || undefined);
    const podCidr = wanted ?? freeBlock(taken, options.serviceCidr);
    const conflict = taken.find(({ cidr }) => overlaps(cidr, podCidr));
    if (conflict) throw new Refusal(conflictText(podCidr, conflict, options.podCidr !== undefined));
    checkBlocks({ podCidr, serviceCidr: options.serviceCidr });
    const next = { ...network, podCidr };
    // The claim first: a death between leaves one that no data folder confirms, and that counts for nothing.
    writeJson(claimFile(machine.clusters, next), { root: folder.root, ...next });
    writeJson(networkFile(folder), next);
    return next;
  } finally {
    release();
  }
}

function conflictText(podCidr: string, { cidr, by }: Taken, isFlag: boolean): string {
  const what = isFlag ? `--pod-cidr ${podCidr}` : `the pod addresses ${podCidr} of this cluster`;
  const whose = by.startsWith("the route") ? by : `${cidr} of ${by}`;
  return `${what} overlap${isFlag ? "s" : ""} ${whose}: choose another --pod-cidr`;
}

function freeBlock(taken: Taken[], serviceCidr: string): string {
  const all = [...taken.map(({ cidr }) => cidr), serviceCidr];
  const free = candidates.find((candidate) => !all.some((cidr) => overlaps(cidr, candidate)));
  if (!free) throw new Refusal("no block of pod addresses is free on this machine: give one with --pod-cidr");
  return free;
}

function newNetwork(): ClusterNetwork {
  const id = randomBytes(4).toString("hex");
  return { name: `skiff-${id}`, bridge: `skiff-${id}`, podCidr: "", cgroupRoot: `/skiff-${id}` };
}

const networkFile = ({ root }: DataFolder): string => join(root, "network.json");
const claimFile = (clusters: string, { bridge }: ClusterNetwork): string => join(clusters, `${bridge}.json`);

/** What the data folder has; undefined before its first start with containers. */
export function readNetwork(folder: DataFolder): ClusterNetwork | undefined {
  return readJson<ClusterNetwork>(networkFile(folder));
}

/** A folder that an earlier version made: its bridge was named after the node, and its containers may still run. */
function legacyNetwork(
  folder: DataFolder,
  others: readonly ClusterNetwork[],
  { podCidr = defaultBlock }: NetworkOptions,
): ClusterNetwork | undefined {
  interface List {
    name: string;
    plugins: [{ bridge: string; ipam: { ranges: [[{ subnet: string }]] } }];
  }
  const list = readJson<List>(join(folder.agents, "containerd", "containerd", "net.d", "10-skiff.conflist"));
  if (!list) return undefined;
  const [{ bridge, ipam }] = list.plugins;
  // Two such folders have the same bridge: the first to start again keeps it.
  if (others.some((other) => other.bridge === bridge)) return undefined;
  const { subnet } = ipam.ranges[0][0];
  return {
    name: list.name,
    bridge,
    podCidr: overlaps(subnet, podCidr) ? podCidr : subnet,
    cgroupRoot: "/kubepods",
  };
}

/** Clusters in other data folders that are still there, whether they run or not. */
function otherClusters(folder: DataFolder, clusters: string): (ClusterNetwork & { root: string })[] {
  return readdirSync(clusters)
    .filter((name) => name.endsWith(".json"))
    .flatMap((name) => {
      const path = join(clusters, name);
      const claim = readJson<ClusterNetwork & { root: string }>(path);
      if (claim?.root === folder.root) return [];
      const there = claim && readJson<ClusterNetwork>(join(claim.root, "network.json"));
      if (claim && there?.bridge === claim.bridge) return [{ ...claim, ...there }];
      rmSync(path, { force: true });
      return [];
    });
}

/** One start at a time looks at what is free. The lock is the kernel's, as the data folder's is. */
function lockClusters(clusters: string): () => void {
  let database: DatabaseSync | undefined;
  try {
    mkdirSync(clusters, { recursive: true, mode: 0o700 });
    database = new DatabaseSync(join(clusters, "lock.db"), { timeout: 30_000 });
    database.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    database?.close();
    throw new Refusal(
      `the clusters of this machine are noted in ${clusters}, which cannot be used: ${messageOf(error)}`,
    );
  }
  const held = database;
  return () => held.close();
}

function readJson<T>(path: string): T | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as T;
  } catch (error) {
    if (existsSync(path)) throw new Refusal(`${path} cannot be read: ${messageOf(error)}`);
    return undefined;
  }
}

/** By rename: a reader sees one state or the other. */
function writeJson(path: string, value: unknown): void {
  writeFileSync(`${path}.new`, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

function machineRoutes(): { cidr: string; device: string }[] {
  const text = execFileSync("ip", ["-4", "route", "show", "table", "all"], { encoding: "utf8" });
  return text.split("\n").flatMap((line) => {
    const words = line.trim().split(/\s+/);
    const destination = words.find((word) => /^\d+\.\d+\.\d+\.\d+(\/\d+)?$/.test(word));
    const device = words[words.indexOf("dev") + 1];
    // Of a line without a destination of its own the first address is a gateway: that is the default route.
    if (!destination || words.includes("default") || words.indexOf("dev") < 0 || device === undefined) return [];
    return [{ cidr: destination.includes("/") ? destination : `${destination}/32`, device }];
  });
}
