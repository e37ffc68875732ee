import { execFile } from "node:child_process";
import { access, readdir, readFile, writeFile } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Log, messageOf } from "#base";
import type { PodNetwork } from "./config.ts";

const run = promisify(execFile);

/** Whether pods have a network. `message` describes the error if they have none. */
export interface BridgeState {
  ok: boolean;
  message: string;
}

const interfaces = "/sys/class/net";
const forwarding = "/proc/sys/net/ipv4/ip_forward";
/** Where libcni stores the results of pods. */
const results = "/var/lib/cni/results";
const isUpFlag = 1;

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** The bridge's own address: the first of the node's block, as the bridge plugin chooses it. IPv4 only. */
export function gatewayOf(podCidr: string): { address: string; prefix: string } {
  const [base = "", prefix = "24"] = podCidr.split("/");
  const first = base.split(".").reduce((total, part) => total * 256 + Number(part), 0) + 1;
  const address = [24, 16, 8, 0].map((shift) => Math.floor(first / 2 ** shift) % 256).join(".");
  return { address, prefix };
}

/**
 * Checks that the node's bridge exists, is up, has its address and the pods' interfaces, and repairs it. Never rejects.
 */
export async function repairBridge(network: Omit<PodNetwork, "folder">, log: Log): Promise<BridgeState> {
  const { bridge } = network;
  try {
    const repairs = await repair(network);
    if (repairs.length > 0) log.warn("the pod network was repaired", { bridge, what: repairs.join(", ") });
    return { ok: true, message: `bridge ${bridge} is up` };
  } catch (error) {
    return { ok: false, message: `bridge ${bridge} is not usable: ${messageOf(error)}` };
  }
}

async function repair({ bridge, podCidr, name }: Omit<PodNetwork, "folder">): Promise<string[]> {
  // The bridge of nodes with IPv6 pods is managed by the plugin alone.
  if (podCidr.includes(":")) return [];
  const repairs: string[] = [];
  const folder = join(interfaces, bridge);
  if (!(await exists(folder))) {
    await ip("link", "add", bridge, "type", "bridge");
    repairs.push("the bridge was missing");
  } else if (!(await exists(join(folder, "bridge")))) throw new Error("an interface of this name is no bridge");
  const { address, prefix } = gatewayOf(podCidr);
  if (!(networkInterfaces()[bridge] ?? []).some((one) => one.address === address)) {
    // The addresses of a bridge that is down are not listed.
    await ip("address", "replace", `${address}/${prefix}`, "dev", bridge);
    if (repairs.length === 0) repairs.push(`the address ${address} was missing`);
  }
  const flags = Number((await readFile(join(folder, "flags"), "utf8")).trim());
  if ((flags & isUpFlag) === 0) {
    await ip("link", "set", bridge, "up");
    if (repairs.length === 0) repairs.push("the bridge was down");
  }
  for (const port of await loosePorts(name, bridge)) {
    await ip("link", "set", port, "master", bridge);
    await ip("link", "set", port, "type", "bridge_slave", "hairpin", "on");
    repairs.push(`${port} was not in it`);
  }
  if ((await readFile(forwarding, "utf8")).trim() === "0") {
    await writeFile(forwarding, "1");
    repairs.push("packets were not forwarded");
  }
  return repairs;
}

const ip = async (...words: string[]): Promise<void> => {
  try {
    await run("ip", words);
  } catch (error) {
    const { stderr } = error as { stderr?: string };
    throw new Error(`ip ${words.join(" ")}: ${stderr?.trim() || messageOf(error)}`, { cause: error });
  }
};

/** The host's ends of pods' interfaces that have lost their bridge. */
async function loosePorts(network: string, bridge: string): Promise<string[]> {
  const loose = new Set<string>();
  const attached = new Set(await readdir(join(interfaces, bridge, "brif")));
  for (const name of await readdir(interfaces)) {
    if (!name.startsWith("veth") || attached.has(name)) continue;
    // Ports of other bridges, of which there are usually none.
    if (!(await exists(join(interfaces, name, "master")))) loose.add(name);
  }
  // Usually there is none.
  if (loose.size === 0) return [];
  const files = (await readdir(results).catch(() => [] as string[])).filter((file) => file.startsWith(`${network}-`));
  const own = await Promise.all(files.map((file) => portsOf(join(results, file))));
  return own.flat().filter((port) => loose.has(port));
}

/** A result lists the bridge, the host's end, and the pod's end with its namespace. */
async function portsOf(path: string): Promise<string[]> {
  interface Result {
    result?: { interfaces?: { name: string; sandbox?: string }[] };
  }
  try {
    const { result } = JSON.parse(await readFile(path, "utf8")) as Result;
    return (result?.interfaces ?? [])
      .filter((one) => !one.sandbox && one.name.startsWith("veth"))
      .map((one) => one.name);
  } catch {
    // Removed or being written.
    return [];
  }
}
