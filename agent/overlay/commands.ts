import type { Plan } from "./plan.ts";
import { type KernelState, type OverlayDevice, type PodRoute, routeProtocol } from "./state.ts";

/** What the kernel is to have. */
export interface Wanted {
  plan: Plan;
  /** The name of the overlay's device. */
  device: string;
  /** The number of the cluster's overlay (VXLAN network identifier), the same on all its nodes. */
  vni: number;
  /** The largest packet in the overlay, in bytes. */
  mtu: number;
}

/** Lines for `ip -batch` and for `bridge -batch`, in this order. */
export interface Commands {
  ip: string[];
  bridge: string[];
}

/** IANA's port of VXLAN. */
export const overlayPort = 4789;

/** The commands that lead from what the kernel has to what it is to have; none where it has all of it and no more. */
export function commandsFor(wanted: Wanted, actual: KernelState): Commands {
  const { plan, device } = wanted;
  const ip: string[] = [];
  const bridge: string[] = [];
  const kept = actual.device && isRight(actual.device, wanted) ? actual.device : undefined;
  if (actual.device && !kept) ip.push(`link delete dev ${device}`);
  if (plan.own && !kept) ip.push(...creation(wanted));
  const routes = plan.direct.map((route): PodRoute & { onlink?: true } => route);
  for (const { cidr, endpoint, mac, node } of plan.tunnels) {
    routes.push({ cidr, via: endpoint, device, onlink: true });
    if (kept?.neighbors.get(endpoint) !== mac)
      ip.push(`neighbor replace ${endpoint} lladdr ${mac} dev ${device} nud permanent`);
    if (kept?.forwards.get(mac) !== node) bridge.push(`fdb replace ${mac} dev ${device} dst ${node}`);
  }
  // The routes of a deleted device are deleted with it.
  const present = new Map(
    actual.routes.filter((route) => kept || route.device !== device).map((route) => [route.cidr, route]),
  );
  for (const { cidr, via, device: to, onlink } of routes) {
    const found = present.get(cidr);
    present.delete(cidr);
    if (found?.via === via && found.device === to) continue;
    ip.push(`route replace ${cidr} via ${via} dev ${to}${onlink ? " onlink" : ""} proto ${routeProtocol}`);
  }
  for (const { cidr, device: to } of present.values()) ip.push(`route delete ${cidr} dev ${to} proto ${routeProtocol}`);
  if (kept) removeEnds(kept, wanted, { ip, bridge });
  return { ip, bridge };
}

/** Whether a device can be kept as it is. */
function isRight(found: OverlayDevice, { plan: { own }, vni, mtu }: Wanted): boolean {
  if (!own) return false;
  const { isVxlan, isUp, mac, from, port, addresses } = found;
  const isSame = isVxlan && found.vni === vni && found.mtu === mtu && mac === own.mac && port === overlayPort;
  return isSame && isUp && from === senderOf(own.uplink.cidr) && addresses.includes(own.address);
}

const senderOf = (cidr: string): string => cidr.split("/")[0] ?? "";

function creation({ plan: { own }, device, vni, mtu }: Wanted): string[] {
  if (!own) return [];
  const { address, mac, uplink } = own;
  const kind = `type vxlan id ${vni} local ${senderOf(uplink.cidr)} dstport ${overlayPort} nolearning`;
  return [
    `link add ${device} address ${mac} mtu ${mtu} ${kind}`,
    `address replace ${address}/32 dev ${device}`,
    `link set dev ${device} up`,
  ];
}

/** Deletes the entries of nodes that no longer need the overlay. */
function removeEnds({ neighbors, forwards }: OverlayDevice, { plan, device }: Wanted, { ip, bridge }: Commands): void {
  const endpoints = new Set(plan.tunnels.map(({ endpoint }) => endpoint));
  const macs = new Set(plan.tunnels.map(({ mac }) => mac));
  for (const address of neighbors.keys())
    if (!endpoints.has(address)) ip.push(`neighbor delete ${address} dev ${device}`);
  for (const [mac, node] of forwards) if (!macs.has(mac)) bridge.push(`fdb delete ${mac} dev ${device} dst ${node}`);
}
