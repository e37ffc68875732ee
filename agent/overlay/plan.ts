import type { Node } from "#api";
import { cidrContains, formatCidr, parseCidr, parseIp } from "#api/meta";
import type { LocalNetwork } from "./networks.ts";

/** When packets between nodes travel in VXLAN: where no network is common to both nodes, always, or never. */
export type OverlayMode = "auto" | "always" | "never";

export const overlayModes = ["auto", "always", "never"] as const satisfies readonly OverlayMode[];

export interface PlanOptions {
  /** The name of this node. */
  name: string;
  mode: OverlayMode;
  /** The block of the cluster's pod addresses: ranges outside of it are not routed. */
  clusterCidr: string;
  /** This machine's networks, without those of pods. */
  networks: readonly LocalNetwork[];
  /** All nodes of the cluster. */
  nodes: Iterable<Node>;
}

/** The way to another node's pods over a network that both nodes are in. */
export interface DirectRoute {
  /** The other node's range of pod addresses. */
  cidr: string;
  via: string;
  device: string;
}

/** The way to another node's pods in VXLAN. */
export interface TunnelRoute {
  cidr: string;
  /** The other end's address in the overlay, the first of its range, and its hardware address. */
  endpoint: string;
  mac: string;
  /** The other node's own address, to which packets are sent. */
  node: string;
}

/** This end of the overlay. */
export interface OwnEnd {
  address: string;
  mac: string;
  /** The network of this node's own address, from which packets are sent. */
  uplink: LocalNetwork;
}

export interface Plan {
  /** Absent where no packet needs the overlay, and while this node has neither a range nor its address. */
  own: OwnEnd | undefined;
  direct: DirectRoute[];
  tunnels: TunnelRoute[];
}

/**
 * The routes to the pods of all other nodes, from their Node objects alone: a hardware address in the overlay follows
 * from the node's range. Nodes without a range or an address have none yet, and a node with an address of this machine
 * is an earlier name of it. IPv4 only. Of two nodes with the same range the older one has it.
 */
export function planRoutes({ name, mode, clusterCidr, networks, nodes }: PlanOptions): Plan {
  const taken = new Set<string>();
  const direct: DirectRoute[] = [];
  const tunnels: TunnelRoute[] = [];
  const byAge = [...nodes].sort((left, right) => (ageKey(left) < ageKey(right) ? -1 : 1));
  const self = byAge.find(({ metadata }) => metadata.name === name);
  const ownRange = self && rangeOf(self, clusterCidr);
  if (ownRange) taken.add(ownRange);
  const own = self && ownRange ? ownEnd(ownRange, addressOf(self), networks) : undefined;
  const isLocal = (address: string): boolean => networks.some(({ cidr }) => cidr.split("/")[0] === address);
  for (const node of byAge) {
    const cidr = rangeOf(node, clusterCidr);
    const address = addressOf(node);
    if (node === self || cidr === undefined || address === undefined || taken.has(cidr) || isLocal(address)) continue;
    taken.add(cidr);
    const network = mode === "always" ? undefined : networks.find((one) => contains(one.cidr, address));
    if (network) direct.push({ cidr, via: address, device: network.device });
    else if (mode !== "never" && own) tunnels.push({ cidr, ...endpointOf(cidr), node: address });
  }
  return { own: tunnels.length === 0 ? undefined : own, direct, tunnels };
}

const ageKey = ({ metadata }: Node): string => `${metadata.creationTimestamp ?? ""} ${metadata.name ?? ""}`;

/** The node's range in its canonical form, where it is a part of the cluster's block. */
function rangeOf({ spec }: Node, clusterCidr: string): string | undefined {
  const range = parseCidr(spec?.podCIDR ?? "");
  const whole = parseCidr(clusterCidr);
  if (range?.version !== 4 || whole?.version !== 4 || range.prefix < whole.prefix) return undefined;
  return cidrContains(whole, range) ? formatCidr(range) : undefined;
}

function addressOf({ status }: Node): string | undefined {
  const isIpv4 = (text: string): boolean => parseIp(text)?.version === 4;
  return status?.addresses?.find(({ type, address }) => type === "InternalIP" && isIpv4(address))?.address;
}

/** Whether a block of IPv4 addresses contains an address. */
export function contains(block: string, address: string): boolean {
  const [outer, inner] = [parseCidr(block), parseIp(address)];
  return outer !== undefined && inner !== undefined && cidrContains(outer, inner);
}

/** An end of the overlay: the first address of the range, and a local hardware address that holds it. */
function endpointOf(cidr: string): { endpoint: string; mac: string } {
  const [endpoint = ""] = cidr.split("/");
  const bytes = endpoint.split(".").map((part) => Number(part).toString(16).padStart(2, "0"));
  return { endpoint, mac: ["0a", "58", ...bytes].join(":") };
}

/** Undefined where the node's address is none of this machine, so that nothing can be sent from it. */
function ownEnd(range: string, address: string | undefined, networks: readonly LocalNetwork[]): OwnEnd | undefined {
  const uplink = networks.find(({ cidr }) => cidr.split("/")[0] === address);
  const { endpoint, mac } = endpointOf(range);
  return uplink && { address: endpoint, mac, uplink };
}
