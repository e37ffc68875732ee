import { networkInterfaces } from "node:os";
import { runProgram } from "#agent/network";
import type { Node } from "#api";
import { type Clock, deepEqual, type Log, messageOf, type Timer } from "#base";
import { commandsFor, type Wanted } from "./commands.ts";
import { isOverlay, type LocalNetwork, machineNetworks } from "./networks.ts";
import { contains, type OverlayMode, type Plan, planRoutes } from "./plan.ts";
import { hasRoutes, listLinks, listNetworks, mtuOf, readRoutes, readState, routeProtocol } from "./state.ts";

export interface NodeRoutesOptions {
  /** The node's name. */
  name: string;
  mode: OverlayMode;
  /** The block of the cluster's pod addresses. */
  clusterCidr: string;
  /** The bridge of the node's pods, which the overlay's device is named after. */
  bridge: string;
  /** The number of the cluster's overlay, the same on all its nodes. */
  vni: number;
  clock: Clock;
  log: Log;
}

/** How often the kernel's table is read: routes over an interface end when it goes down. */
const checkMilliseconds = 5000;
/** How often everything is compared where there is an overlay. */
const wholeMilliseconds = 60_000;
/** What VXLAN adds to a packet: the headers of Ethernet, IPv4, UDP and its own. */
const overhead = 50;
const usualMtu = 1500;

/** The name of the overlay's device, from that of the bridge: at most 15 characters. */
export const overlayDeviceOf = (bridge: string): string => `skiffv-${bridge.slice(-8)}`;

/**
 * Keeps this machine's routes to the pods of other nodes as their Node objects require. Routes are left in force when it
 * ends, since containers run on; its next start deletes those of nodes that have gone.
 */
export class NodeRoutes {
  readonly #options: NodeRoutesOptions;
  readonly #device: string;
  readonly #nodes = new Map<string, Node>();
  readonly #stopping = new AbortController();
  #wake = (): void => {};
  /** Whether a node has changed since the last comparison. */
  #hasChanged = false;
  #applied: Plan | undefined;
  /** The interfaces of the last plan that was put into force. */
  #devices: readonly string[] = [];
  #wholeAt = 0;
  /** The last failure, which is logged once. */
  #failure = "";
  #running: Promise<void> | undefined;

  constructor(options: NodeRoutesOptions) {
    this.#options = options;
    this.#device = overlayDeviceOf(options.bridge);
  }

  setNode(node: Node): void {
    const { name = "", creationTimestamp } = node.metadata;
    // Nodes report their state every few seconds; only this decides about routes.
    const next: Node = {
      metadata: { name, creationTimestamp },
      spec: { podCIDR: node.spec?.podCIDR },
      status: { addresses: node.status?.addresses },
    };
    if (deepEqual(this.#nodes.get(name), next)) return;
    this.#nodes.set(name, next);
    this.#noteChange();
  }

  deleteNode(name: string): void {
    if (this.#nodes.delete(name)) this.#noteChange();
  }

  #noteChange(): void {
    this.#hasChanged = true;
    this.#wake();
  }

  /** Puts the routes to the nodes that are known into force, and follows changes from then on. Never rejects. */
  async start(): Promise<void> {
    await this.#sync();
    this.#running = this.#follow();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wake();
    await this.#running;
  }

  async #follow(): Promise<void> {
    const { clock } = this.#options;
    while (!this.#stopping.signal.aborted) {
      await this.#pause();
      if (this.#stopping.signal.aborted) return;
      const isDue = this.#applied?.own !== undefined && clock.now() >= this.#wholeAt;
      if (isDue || !(await this.#isInForce())) await this.#sync();
    }
  }

  /** Waits for a change, or for the next check. */
  async #pause(): Promise<void> {
    if (this.#hasChanged || this.#stopping.signal.aborted) return;
    let timer: Timer | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      timer = this.#options.clock.timer(checkMilliseconds, resolve);
    });
    timer?.cancel();
  }

  async #plan(): Promise<Plan> {
    this.#hasChanged = false;
    const networks = await this.#networks();
    return planRoutes({ ...this.#options, networks, nodes: this.#nodes.values() });
  }

  /** Routes stay as they are while a cable is out, so that packets pass as soon as it is back. */
  async #networks(): Promise<LocalNetwork[]> {
    const running = machineNetworks();
    const isRunning = (name: string): boolean => running.some(({ device }) => device === name);
    return this.#devices.every(isRunning) ? running : listNetworks();
  }

  async #isInForce(): Promise<boolean> {
    const plan = await this.#plan().catch(() => undefined);
    if (!plan || !deepEqual(plan, this.#applied)) return false;
    if (plan.own && !networkInterfaces()[this.#device]) return false;
    return hasRoutes(plan, this.#device).catch(() => false);
  }

  async #sync(): Promise<void> {
    const { clock, log, clusterCidr, vni } = this.#options;
    this.#applied = undefined;
    try {
      const plan = await this.#plan();
      const mtu = ((plan.own && (await mtuOf(plan.own.uplink.device))) ?? usualMtu) - overhead;
      const wanted: Wanted = { plan, device: this.#device, vni, mtu };
      const changes = await apply(wanted, clusterCidr);
      if (changes.length > 0) log.info("the routes to other nodes have changed", { changes });
      this.#applied = plan;
      this.#devices = [...plan.direct, ...(plan.own ? [plan.own.uplink] : [])].map(({ device }) => device);
      this.#wholeAt = clock.now() + wholeMilliseconds;
      this.#failure = "";
    } catch (error) {
      const failure = messageOf(error);
      if (failure !== this.#failure) log.warn("routes to other nodes are missing", { error: failure });
      this.#failure = failure;
    }
  }
}

/** Compares and changes; resolves with the commands. A command that fails does not prevent the others. */
async function apply(wanted: Wanted, clusterCidr: string): Promise<string[]> {
  const { ip, bridge } = commandsFor(wanted, await readState(clusterCidr, wanted.device));
  const faults: string[] = [];
  for (const [program, lines] of [["ip", ip] as const, ["bridge", bridge] as const]) {
    if (lines.length === 0) continue;
    const run = runProgram(program, ["-force", "-batch", "-"], `${lines.join("\n")}\n`);
    await run.catch((error: unknown) => faults.push(messageOf(error)));
  }
  if (faults.length > 0) throw new Error(faults.join("; "));
  return [...ip, ...bridge];
}

/** Deletes a cluster's routes and its overlay from this machine. */
export async function removeRoutes(bridge: string, clusterCidr: string): Promise<void> {
  const device = overlayDeviceOf(bridge);
  await apply({ plan: { own: undefined, direct: [], tunnels: [] }, device, vni: 0, mtu: 0 }, clusterCidr);
}

/**
 * Deletes the overlays and routes of clusters that no longer exist on this machine. `existing` is called after they have
 * been listed, so that a cluster that starts meanwhile is among the existing ones.
 */
export async function removeStaleRoutes(
  existing: () => { bridges: Iterable<string>; blocks: string[] },
): Promise<void> {
  const devices = (await listLinks()).filter(isOverlay);
  const routes = await readRoutes();
  const { bridges, blocks } = existing();
  const known = new Set([...bridges].map(overlayDeviceOf));
  for (const device of devices) if (!known.has(device)) await runProgram("ip", ["link", "delete", "dev", device]);
  const isKnown = (cidr: string): boolean => blocks.some((block) => contains(block, cidr.split("/")[0] ?? ""));
  for (const { cidr, device } of routes) {
    if (devices.includes(device) || isKnown(cidr)) continue;
    await runProgram("ip", ["route", "delete", cidr, "dev", device, "proto", `${routeProtocol}`]);
  }
}
