import { access, readFile, writeFile } from "node:fs/promises";
import { type Log, messageOf } from "#base";
import { listPrefixes, prefixOf, removeChains, restore, save } from "./iptables/run.ts";
import { IptablesWriter } from "./iptables/writer.ts";
import { deleteTable, listSets, listTables, runNft } from "./nftables/nft.ts";
import { tableSetup } from "./nftables/setup.ts";
import { NftablesWriter } from "./nftables/writer.ts";
import { nodePortBlocks } from "./node-port-addresses.ts";
import { runProgram } from "./program.ts";
import { UserspaceWriter } from "./userspace/writer.ts";
import type { RuleWriter } from "./writer.ts";

/** How services are put into force on a node. `none`: another program does it. */
export const proxyModes = ["nftables", "iptables", "userspace", "none"] as const;
export type ProxyMode = (typeof proxyModes)[number];

export interface WriterOptions {
  /** Defaults to nftables where this machine can use it, else to iptables. */
  mode?: ProxyMode | undefined;
  /** The name of the cluster's rules on this machine. */
  name: string;
  podCidr: string;
  /** The addresses of all nodes' pods. Absent: packets that leave them are masqueraded by another part. */
  clusterCidr?: string | undefined;
  serviceCidr?: string | undefined;
  nodeIp?: string | undefined;
  /** Which addresses of this node answer node ports. Default: `primary` by nftables, `all` by iptables, as kube-proxy. */
  nodePortAddresses?: readonly string[] | undefined;
  /** An address of this node that pods reach, for the listeners of the mode userspace. */
  gateway?: string | undefined;
  log: Log;
}

/** The reason why this machine cannot use a mode; undefined: it can. Changes no rule. */
export async function faultOf(mode: ProxyMode): Promise<string | undefined> {
  const shared = { family: "IPv4", podCidr: "10.0.0.0/24", seesBridge: false } as const;
  try {
    // The kernel checks the commands and does not carry them out.
    if (mode === "nftables") await runNft(tableSetup({ ...shared, table: "skiff-check" }).join("\n"), ["--check"]);
    if (mode === "iptables") {
      const check = (input: string) => restore(input, ["--test"]);
      await new IptablesWriter({ ...shared, prefix: "S-check", restore: check, save: async () => "" }).sync([]);
    }
    if (mode === "userspace") {
      const [first, second] = [await faultOf("nftables"), await faultOf("iptables")];
      if (first !== undefined && second !== undefined) throw new Error(`${first}; ${second}`);
    }
    return undefined;
  } catch (error) {
    return `the proxy mode ${mode} cannot be used on this machine: ${messageOf(error)}`;
  }
}

/**
 * The writer of a mode; undefined for `none`. Rules that an earlier start wrote in another mode are deleted. Rejects with
 * the mode's name if this machine cannot use it.
 */
export async function openWriter(options: WriterOptions): Promise<RuleWriter | undefined> {
  const { name, podCidr, clusterCidr, serviceCidr, nodeIp, gateway, log } = options;
  const wanted = options.mode ?? (await defaultMode(log));
  const fault = await faultOf(wanted);
  if (fault !== undefined) throw new Error(fault);
  // Rules lead to the listeners.
  const mode = wanted === "userspace" ? await defaultMode(log) : wanted;
  if (mode !== "nftables") await removeTable(name);
  if (mode !== "iptables") await removeChains(prefixOf(name)).catch((error: unknown) => forgive(error, log));
  if (mode === "none") return undefined;
  const seesBridge = await filterBridge(log);
  const family = "IPv4";
  const words = options.nodePortAddresses ?? [mode === "nftables" ? "primary" : "all"];
  const nodePortAddresses = nodePortBlocks({ words, family, nodeIp });
  const shared = { family, podCidr, clusterCidr, serviceCidr, nodeIp, nodePortAddresses, seesBridge } as const;
  const now = () => performance.now();
  const rules =
    mode === "iptables"
      ? new IptablesWriter({ ...shared, prefix: prefixOf(name), restore, save })
      : new NftablesWriter({ ...shared, table: name, run: runNft, now, listSets });
  if (wanted !== "userspace") return rules;
  if (gateway === undefined) throw new Error("the proxy mode userspace needs a pod network with IPv4");
  return new UserspaceWriter({ rules, address: gateway, now, log });
}

/** iptables may be missing where nftables is used: there are no rules of it then. */
const forgive = (error: unknown, log: Log): void =>
  log.warn("rules of iptables from an earlier start could not be deleted", { error: messageOf(error) });

async function defaultMode(log: Log): Promise<ProxyMode> {
  const fault = await faultOf("nftables");
  if (fault === undefined) return "nftables";
  const other = await faultOf("iptables");
  if (other === undefined) return "iptables";
  log.error("services are not reachable from this node", { nftables: fault, iptables: other });
  return "none";
}

async function removeTable(name: string): Promise<void> {
  if ((await listTables()).includes(name)) await deleteTable(name);
}

/** Deletes the rules of a cluster, whatever wrote them. */
export async function removeRules(name: string): Promise<void> {
  await removeTable(name);
  if ((await listPrefixes()).includes(prefixOf(name))) await removeChains(prefixOf(name));
}

/** Tables of clusters of this machine, as their names are chosen when a data folder is created. */
const clusterTable = /^skiff-[0-9a-f]{8}$/;

/**
 * Deletes the rules of clusters that no longer exist. `existing` is called after the rules have been listed, so that a
 * cluster that starts meanwhile is among the existing ones.
 */
export async function removeStaleRules(existing: () => ReadonlySet<string>): Promise<void> {
  const found = (await listTables()).filter((table) => clusterTable.test(table));
  const prefixes = await listPrefixes();
  const known = existing();
  for (const table of found) if (!known.has(table)) await deleteTable(table);
  const kept = new Set([...known].map(prefixOf));
  for (const prefix of prefixes) if (!kept.has(prefix)) await removeChains(prefix);
}

const bridgeSwitch = "/proc/sys/net/bridge/bridge-nf-call-iptables";

/**
 * Lets packets between pods of one bridge pass the rules. Without that, an answer would reach a pod with the endpoint's
 * address. False where the kernel has no br_netfilter: such connections are masqueraded then.
 */
async function filterBridge(log: Log): Promise<boolean> {
  try {
    await access(bridgeSwitch).catch(() => runProgram("modprobe", ["br_netfilter"]));
    if ((await readFile(bridgeSwitch, "utf8")).trim() !== "1") await writeFile(bridgeSwitch, "1");
    return true;
  } catch (error) {
    log.warn("connections between pods of this node by services are masqueraded", { error: messageOf(error) });
    return false;
  }
}
