import { readFile } from "node:fs/promises";
import { runProgram } from "#agent/network";
import { isPodInterface, type LocalNetwork } from "./networks.ts";
import { contains, type Plan } from "./plan.ts";

/** The kernel's number for the program that added a route: routes with it are the agent's, also after its restart. */
export const routeProtocol = 83;

/** A route to the pods of another node. */
export interface PodRoute {
  cidr: string;
  via: string;
  device: string;
}

/** The device of the overlay as the kernel has it. */
export interface OverlayDevice {
  isVxlan: boolean;
  isUp: boolean;
  mac: string;
  mtu: number;
  vni: number;
  /** The address from which packets are sent. */
  from: string;
  port: number;
  addresses: string[];
  /** Hardware addresses of other ends by their addresses in the overlay. */
  neighbors: ReadonlyMap<string, string>;
  /** Nodes' addresses by the hardware addresses of their ends. */
  forwards: ReadonlyMap<string, string>;
}

/** What the kernel has of the ways to other nodes. */
export interface KernelState {
  /** The agent's routes into the cluster's block. */
  routes: PodRoute[];
  device: OverlayDevice | undefined;
}

/** Reads the routes into a block, and the device of the overlay with this name. */
export async function readState(clusterCidr: string, device: string): Promise<KernelState> {
  return { routes: await readRoutes(clusterCidr), device: await readDevice(device) };
}

interface ListedRoute {
  dst: string;
  gateway?: string;
  dev?: string;
}

/** The agent's routes, of all clusters of this machine or into one block. */
export async function readRoutes(clusterCidr?: string): Promise<PodRoute[]> {
  const listed = await list<ListedRoute>("ip", ["-4", "route", "show", "proto", `${routeProtocol}`]);
  return listed
    .map(({ dst, gateway = "", dev = "" }) => ({
      cidr: dst.includes("/") ? dst : `${dst}/32`,
      via: gateway,
      device: dev,
    }))
    .filter(({ cidr }) => clusterCidr === undefined || contains(clusterCidr, cidr.split("/")[0] ?? ""));
}

interface ListedLink {
  ifname: string;
  flags: string[];
  mtu: number;
  address?: string;
  linkinfo?: { info_kind?: string; info_data?: { id?: number; local?: string; port?: number } };
}

/** The MTU of an interface; undefined where it does not exist. */
export async function mtuOf(device: string): Promise<number | undefined> {
  const [link] = (await list<ListedLink>("ip", ["link", "show"])).filter(({ ifname }) => ifname === device);
  return link?.mtu;
}

/** As machineNetworks, with interfaces whose cable is out: they keep their addresses and routes. */
export async function listNetworks(): Promise<LocalNetwork[]> {
  const links = await list<{ ifname?: string; addr_info?: { local: string; prefixlen: number }[] }>("ip", [
    ...["-4", "address", "show", "up", "scope", "global"],
  ]);
  return links.flatMap(({ ifname: device = "", addr_info = [] }) =>
    isPodInterface(device)
      ? []
      : addr_info.flatMap(({ local, prefixlen }) => (local ? [{ device, cidr: `${local}/${prefixlen}` }] : [])),
  );
}

/** The names of the interfaces of this machine. */
export async function listLinks(): Promise<string[]> {
  return (await list<ListedLink>("ip", ["link", "show"])).map(({ ifname }) => ifname);
}

async function readDevice(device: string): Promise<OverlayDevice | undefined> {
  const links = await list<ListedLink>("ip", ["-d", "link", "show"]);
  const link = links.find(({ ifname }) => ifname === device);
  if (!link) return undefined;
  const { info_kind: kind, info_data: { id = 0, local = "", port = 0 } = {} } = link.linkinfo ?? {};
  const of = ["show", "dev", device];
  const [addresses, neighbors, forwards] = await Promise.all([
    list<{ addr_info?: { local: string }[] }>("ip", ["-4", "address", ...of]),
    list<{ dst: string; lladdr?: string }>("ip", ["-4", "neighbor", ...of, "nud", "permanent"]),
    list<{ mac: string; dst?: string }>("bridge", ["fdb", ...of]),
  ]);
  return {
    isVxlan: kind === "vxlan",
    isUp: link.flags.includes("UP"),
    mac: link.address ?? "",
    mtu: link.mtu,
    vni: id,
    from: local,
    port,
    addresses: addresses.flatMap(({ addr_info = [] }) => addr_info.map((one) => one.local)),
    neighbors: new Map(neighbors.map(({ dst, lladdr = "" }) => [dst, lladdr])),
    forwards: new Map(forwards.flatMap(({ mac, dst }) => (dst === undefined ? [] : [[mac, dst]]))),
  };
}

/** iproute2's JSON; it prints nothing at all for some empty lists. */
async function list<T>(program: string, words: readonly string[]): Promise<T[]> {
  const text = await runProgram(program, ["-j", ...words]);
  // Objects without a value are entries that have ended meanwhile.
  return text.trim() === "" ? [] : (JSON.parse(text) as T[]);
}

/** Where the kernel lists its IPv4 routes: reading it starts no program. */
const routeTable = "/proc/net/route";

/** Whether the kernel has all routes of a plan. */
export async function hasRoutes({ direct, tunnels }: Plan, device: string): Promise<boolean> {
  const found = parseRouteTable(await readFile(routeTable, "utf8"));
  const wanted = [...direct, ...tunnels.map(({ cidr, endpoint }) => ({ cidr, via: endpoint, device }))];
  return wanted.every((route) => found.has(keyOf(route)));
}

const keyOf = ({ cidr, via, device }: PodRoute): string => `${cidr} ${via} ${device}`;

/** The routes of /proc/net/route as `cidr via device`. Its numbers are hexadecimal, in the machine's byte order. */
export function parseRouteTable(text: string): Set<string> {
  const lines = text.trim().split("\n").slice(1);
  return new Set(
    lines.map((line) => {
      const [device = "", destination = "", gateway = "", , , , , mask = ""] = line.trim().split(/\s+/);
      const prefix = [...Number.parseInt(mask, 16).toString(2)].filter((bit) => bit === "1").length;
      return keyOf({ cidr: `${addressOf(destination)}/${prefix}`, via: addressOf(gateway), device });
    }),
  );
}

/** All machines that Node.js and containerd support for this are little-endian. */
const addressOf = (hex: string): string =>
  [6, 4, 2, 0].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)).join(".");
