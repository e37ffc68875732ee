import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { isOverlay, routeProtocol } from "#agent/overlay";
import { parseCidr } from "#api/meta";
import { type Log, messageOf } from "#base";
import { type DataFolder, Refusal } from "./data-folder.ts";

/**
 * The parts of this machine that a cluster uses alone. Chosen at the first start of a data folder, and stored in it.
 */
export interface ClusterNetwork {
  /** The CNI network's name. */
  name: string;
  bridge: string;
  /** Addresses of the cluster's pods. */
  podCidr: string;
  /** Addresses of the cluster's services. Absent in folders of earlier versions, which use the usual block. */
  serviceCidr?: string;
  /** The parent cgroup of its pods, such as `/skiff-0a1b2c3d`. */
  cgroupRoot: string;
}

/** A network whose blocks are chosen. */
export type ClaimedNetwork = ClusterNetwork & { serviceCidr: string };

export interface NetworkOptions {
  /** The requested block. Defaults to a block that is free on this machine. */
  podCidr?: string | undefined;
  /** The same of services. */
  serviceCidr?: string | undefined;
  /** The blocks are those of a cluster that this machine joins: it cannot choose others. */
  isJoining?: boolean;
}

/** A block of addresses in use on this machine. */
interface Taken {
  cidr: string;
  /** Such as `the cluster in /root/.skiff`. */
  by: string;
}

/** The networks of the machine itself, beside the clusters' claims. */
export interface Machine {
  /** The folder in which clusters of this machine claim their networks. */
  clusters: string;
  /** IPv4 routes, the default one left out. */
  routes(): { cidr: string; device: string }[];
}

export const thisMachine: Machine = { clusters: "/var/lib/skiff/clusters", routes: machineRoutes };

/** The pods' addresses, unless others are requested or these are in use. */
export const defaultBlock = "10.244.0.0/16";
/** The services' addresses, unless others are requested or these are in use. */
export const defaultServiceBlock = "10.96.0.0/16";
/** Blocks to choose from, the usual one first. */
const serviceCandidates = range(96, 127).map((second) => `10.${second}.0.0/16`);
const podCandidates = [...range(244, 255), ...range(128, 243)].map((second) => `10.${second}.0.0/16`);

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

/** Throws Refusal if addresses of pods and services overlap. */
export function checkBlocks({ podCidr, serviceCidr }: NetworkOptions): void {
  if (podCidr !== undefined && serviceCidr !== undefined && overlaps(podCidr, serviceCidr)) {
    throw new Refusal(`--pod-cidr ${podCidr} and --service-cidr ${serviceCidr} overlap: choose two blocks that do not`);
  }
}

/**
 * The network of a data folder: the stored one, or a new one that no other cluster and no route of the machine uses.
 * Damaged files of other clusters are logged and stop nothing. Throws Refusal, with the owner, if the required
 * addresses are in use, and if its own file is damaged and has no copy.
 */
export function claimNetwork(
  folder: DataFolder,
  options: NetworkOptions,
  log: Log,
  machine = thisMachine,
): ClaimedNetwork {
  const release = lockClusters(machine.clusters);
  try {
    const others = otherClusters(folder, machine.clusters, log);
    const known = readNetwork(folder, log, machine.clusters) ?? legacyNetwork(folder, others, options);
    const network: ClusterNetwork = known ?? newNetwork();
    const stored = network.serviceCidr ?? (known || existsSync(folder.store) ? defaultServiceBlock : undefined);
    const next = { ...network, ...chooseBlocks({ ...network, serviceCidr: stored }, others, options, machine) };
    // The claim first: a crash in between leaves a claim that no data folder confirms, and that is ignored.
    const claim = claimFile(machine.clusters, next);
    writeJson(claim, { root: folder.root, ...next });
    writeJson(networkFile(folder), next);
    // Claims of earlier starts are deleted: the remaining one is the copy of the data folder's file.
    for (const { path, root } of readClaims(machine.clusters)) {
      if (root === folder.root && path !== claim) rmSync(path, { force: true });
    }
    return next;
  } finally {
    release();
  }
}

/** The two kinds of blocks: their words in messages, and the blocks to choose from. */
const kinds = {
  podCidr: { flag: "--pod-cidr", what: "pod addresses", candidates: podCandidates },
  serviceCidr: { flag: "--service-cidr", what: "service addresses", candidates: serviceCandidates },
};

interface Known {
  podCidr: string;
  /** Absent: not chosen yet. */
  serviceCidr: string | undefined;
  bridge: string;
}

/** Throws Refusal if the stored or requested blocks of a cluster are in use. */
function chooseBlocks(known: Known, others: readonly Claim[], options: NetworkOptions, machine: Machine) {
  const routes = machine
    .routes()
    .filter(({ device }) => device !== known.bridge)
    .map(({ cidr, device }) => ({ cidr, by: `the route to ${cidr} on ${device}` }));
  const pods = others.map(({ root, podCidr }) => ({ cidr: podCidr, by: `the cluster in ${root}` }));
  const services = others.map(({ root, serviceCidr = defaultServiceBlock }) => ({
    cidr: serviceCidr,
    by: `the cluster in ${root}`,
  }));
  // All clusters of earlier versions have the same block of services: a stored block stays.
  const requested = options.serviceCidr === known.serviceCidr ? undefined : options.serviceCidr;
  const wantedServices = options.serviceCidr ?? known.serviceCidr;
  const wantedPods = options.podCidr ?? (known.podCidr || undefined);
  const takenByPods = wantedPods === undefined ? [] : [{ cidr: wantedPods, by: "this cluster's pods" }];
  const taken = [...services, ...pods, ...routes];
  const source = options.isJoining ? "cluster" : "flag";
  if (requested !== undefined) refuseConflict("serviceCidr", requested, taken, source);
  const serviceCidr = wantedServices ?? freeBlock("serviceCidr", [...taken, ...takenByPods]);
  const podCidr =
    wantedPods ?? freeBlock("podCidr", [...pods, ...services, ...routes, { cidr: serviceCidr, by: "this cluster" }]);
  refuseConflict("podCidr", podCidr, [...pods, ...routes], options.podCidr === undefined ? "stored" : source);
  checkBlocks({ podCidr, serviceCidr });
  return { podCidr, serviceCidr };
}

/** Throws Refusal if a block is in use. `source` is where it comes from: an option, the data folder, a joined cluster. */
function refuseConflict(
  kind: keyof typeof kinds,
  block: string,
  taken: readonly Taken[],
  source: "flag" | "stored" | "cluster",
): void {
  const conflict = taken.find(({ cidr }) => overlaps(cidr, block));
  if (!conflict) return;
  const { flag, what } = kinds[kind];
  const whose = conflict.by.startsWith("the route") ? conflict.by : `${conflict.cidr} of ${conflict.by}`;
  if (source === "cluster") {
    throw new Refusal(`this machine cannot join: the ${what} ${block} of the cluster overlap ${whose}`);
  }
  const subject = source === "flag" ? `${flag} ${block} overlaps` : `the ${what} ${block} of this cluster overlap`;
  throw new Refusal(`${subject} ${whose}: choose another ${flag}`);
}

function freeBlock(kind: keyof typeof kinds, taken: readonly Taken[]): string {
  const { flag, what, candidates } = kinds[kind];
  const free = candidates.find((candidate) => !taken.some(({ cidr }) => overlaps(cidr, candidate)));
  if (!free) throw new Refusal(`no block of ${what} is free on this machine: set one with ${flag}`);
  return free;
}

function newNetwork(): ClusterNetwork {
  const id = randomBytes(4).toString("hex");
  return { name: `skiff-${id}`, bridge: `skiff-${id}`, podCidr: "", cgroupRoot: `/skiff-${id}` };
}

const networkFile = ({ root }: DataFolder): string => join(root, "network.json");
const claimFile = (clusters: string, { bridge }: ClusterNetwork): string => join(clusters, `${bridge}.json`);

/**
 * The network in the data folder; undefined before its first start with containers. If the file is damaged, the copy in
 * its claim. Throws Refusal if there is no copy.
 */
export function readNetwork(folder: DataFolder, log: Log, clusters = thisMachine.clusters): ClusterNetwork | undefined {
  const path = networkFile(folder);
  const own = readJson(path, isNetwork);
  if (!(own instanceof Damaged)) return own;
  const copies = readClaims(clusters).filter(({ root }) => root === folder.root);
  const [copy] = copies;
  if (!copy || copies.length > 1) {
    throw new Refusal(`${path} is damaged (${own.why}): restore a copy of it, or run skiff down and remove it`);
  }
  log.warn("the network of the data folder is read from its claim: its file is damaged", {
    path,
    error: own.why,
    claim: copy.path,
  });
  const { name, bridge, podCidr, serviceCidr, cgroupRoot } = copy;
  return { name, bridge, podCidr, cgroupRoot, ...(serviceCidr === undefined ? {} : { serviceCidr }) };
}

/** The part of a pod network's configuration that is read here. */
interface NetworkList {
  name: string;
  plugins: [{ bridge: string; ipam: { ranges: [[{ subnet: string }]] } }];
}

const isNetworkList = (value: unknown): value is NetworkList => {
  const { name, plugins } = Object(value) as Partial<NetworkList>;
  const { bridge, ipam } = Object(plugins?.[0]) as Partial<NetworkList["plugins"][0]>;
  return isName(name) && isName(bridge) && isBlock(ipam?.ranges?.[0]?.[0]?.subnet);
};

/** The network of a folder without one whose containers may still run, such as a folder of an earlier version. */
function legacyNetwork(
  folder: DataFolder,
  others: readonly ClusterNetwork[],
  { podCidr = defaultBlock }: NetworkOptions,
): ClusterNetwork | undefined {
  const path = join(folder.agents, "containerd", "containerd", "net.d", "10-skiff.conflist");
  const list = readJson(path, isNetworkList);
  if (!list) return undefined;
  if (list instanceof Damaged) throw new Refusal(`${path} is damaged (${list.why}): run skiff down and remove it`);
  const [{ bridge, ipam }] = list.plugins;
  // Two such folders have the same bridge: the first to start again uses it.
  if (others.some((other) => other.bridge === bridge)) return undefined;
  const { subnet } = ipam.ranges[0][0];
  return {
    name: list.name,
    bridge,
    podCidr: overlaps(subnet, podCidr) ? podCidr : subnet,
    // Earlier versions named the bridge after the node, and the network otherwise.
    cgroupRoot: list.name === bridge ? `/${bridge}` : "/kubepods",
  };
}

/** A claim: a cluster's network, and the cluster's data folder. */
type Claim = ClusterNetwork & { root: string };

/** Claims that can be read, with their files. */
function readClaims(clusters: string, damaged?: (path: string, why: string) => void): (Claim & { path: string })[] {
  if (!existsSync(clusters)) return [];
  return readdirSync(clusters)
    .filter((name) => name.endsWith(".json"))
    .flatMap((name) => {
      const path = join(clusters, name);
      const claim = readJson(path, isClaim);
      if (claim instanceof Damaged) damaged?.(path, claim.why);
      return claim === undefined || claim instanceof Damaged ? [] : [{ ...claim, path }];
    });
}

/**
 * The claims of other data folders that exist, whether their clusters run or not. If a folder's own file is damaged,
 * its claim counts. A damaged claim stays until its cluster starts and writes it again; until then only a route of its
 * bridge shows its block.
 */
function otherClusters(folder: DataFolder, clusters: string, log: Log): Claim[] {
  const damaged = (path: string, error: string): void =>
    log.warn("a file of another cluster is damaged", { path, error });
  return readClaims(clusters, damaged).flatMap(({ path, ...claim }) => {
    if (claim.root === folder.root) return [];
    const file = join(claim.root, "network.json");
    const there = readJson(file, isNetwork);
    if (there instanceof Damaged) {
      damaged(file, there.why);
      return [claim];
    }
    if (there?.bridge === claim.bridge) return [{ ...claim, ...there }];
    rmSync(path, { force: true });
    return [];
  });
}

/**
 * The bridges of the clusters of this machine, which their rules are named after: of those whose data folder exists,
 * and of damaged claims.
 */
export function clusterNames(clusters = thisMachine.clusters): Set<string> {
  if (!existsSync(clusters)) return new Set();
  const claims = readClaims(clusters).filter(({ root }) => !existsSync(root));
  const gone = new Set(claims.map(({ path }) => basename(path)));
  const files = readdirSync(clusters).filter((file) => !gone.has(file));
  return new Set(files.map((file) => basename(file, ".json")));
}

/** The blocks of pod addresses of the clusters of this machine whose claims can be read. */
export const clusterBlocks = (clusters = thisMachine.clusters): string[] =>
  readClaims(clusters)
    .filter(({ root }) => existsSync(root))
    .map(({ podCidr }) => podCidr);

/** One start at a time chooses a network. The lock is the kernel's, as the data folder's is. */
function lockClusters(clusters: string): () => void {
  let database: DatabaseSync | undefined;
  try {
    mkdirSync(clusters, { recursive: true, mode: 0o700 });
    database = new DatabaseSync(join(clusters, "lock.db"), { timeout: 30_000 });
    database.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    database?.close();
    throw new Refusal(`the list of this machine's clusters, ${clusters}, cannot be used: ${messageOf(error)}`);
  }
  const held = database;
  return () => held.close();
}

/** The fault of an existing file. */
class Damaged {
  readonly why: string;
  constructor(why: string) {
    this.why = why;
  }
}

/** A file of JSON; undefined if it does not exist. */
function readJson<T>(path: string, isRight: (value: unknown) => value is T): T | Damaged | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    return isRight(value) ? value : new Damaged(`it does not have the form of ${basename(path)}`);
  } catch (error) {
    const isMissing = ["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "");
    return isMissing ? undefined : new Damaged(messageOf(error));
  }
}

const isName = (value: unknown): value is string => typeof value === "string" && value !== "";
const isBlock = (value: unknown): value is string => isName(value) && parseCidr(value) !== undefined;
const isNetwork = (value: unknown): value is ClusterNetwork => {
  const { name, bridge, podCidr, serviceCidr, cgroupRoot } = Object(value) as Partial<ClusterNetwork>;
  const isServiceBlock = serviceCidr === undefined || isBlock(serviceCidr);
  return [name, bridge, cgroupRoot].every(isName) && isBlock(podCidr) && isServiceBlock;
};
const isClaim = (value: unknown): value is Claim => isNetwork(value) && isName((value as Partial<Claim>).root);

/**
 * By rename, after it was flushed to the disk: a reader sees the old state or the new one, also after a loss of power.
 */
function writeJson(path: string, value: unknown): void {
  writeFileSync(`${path}.new`, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600, flush: true });
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
    // To pods of other nodes: of this cluster, or of others, whose claims have their blocks.
    if (isOverlay(device) || words[words.indexOf("proto") + 1] === `${routeProtocol}`) return [];
    return [{ cidr: destination.includes("/") ? destination : `${destination}/32`, device }];
  });
}
