import { access, readFile, writeFile } from "node:fs/promises";
import { type Log, messageOf } from "#base";
import { deleteTable, listTables, runNft, runProgram } from "./nftables/nft.ts";
import { tableSetup } from "./nftables/setup.ts";
import { NftablesWriter } from "./nftables/writer.ts";
import type { RuleWriter } from "./writer.ts";

/** How services are put into force on a node. `none`: another program does it. */
export const proxyModes = ["nftables", "none"] as const;
export type ProxyMode = (typeof proxyModes)[number];

export interface WriterOptions {
  /** Defaults to nftables where this machine can use it, else to none. */
  mode?: ProxyMode | undefined;
  /** The name of the cluster's rules on this machine. */
  name: string;
  podCidr: string;
  serviceCidr?: string | undefined;
  nodeIp?: string | undefined;
  log: Log;
}

/** The reason why this machine cannot use a mode; undefined: it can. Changes nothing. */
export async function faultOf(mode: ProxyMode): Promise<string | undefined> {
  if (mode === "none") return undefined;
  try {
    // The kernel checks the commands and does not carry them out.
    const table = { table: "skiff-check", family: "IPv4", podCidr: "10.0.0.0/24", seesBridge: false } as const;
    await runNft(tableSetup(table).join("\n"), ["--check"]);
    return undefined;
  } catch (error) {
    return `the proxy mode ${mode} cannot be used on this machine: ${messageOf(error)}`;
  }
}

/**
 * The writer of a mode; undefined for `none`, after rules of an earlier start have been deleted. Rejects with the mode's
 * name if this machine cannot use it.
 */
export async function openWriter(options: WriterOptions): Promise<RuleWriter | undefined> {
  const { name, podCidr, serviceCidr, nodeIp, log } = options;
  const fault = await faultOf(options.mode ?? "nftables");
  if (fault !== undefined && options.mode !== undefined) throw new Error(fault);
  if (fault !== undefined) log.error("services are not reachable from this node", { error: fault });
  const mode = fault === undefined ? (options.mode ?? "nftables") : "none";
  if (mode === "none") {
    await removeRules(name);
    return undefined;
  }
  const family = "IPv4";
  const seesBridge = await filterBridge(log);
  const shared = { family, podCidr, serviceCidr, nodeIp } as const;
  return new NftablesWriter({ ...shared, table: name, seesBridge, run: runNft, now: () => performance.now() });
}

/** Deletes the rules of a cluster, whatever wrote them. */
export async function removeRules(name: string): Promise<void> {
  if ((await listTables()).includes(name)) await deleteTable(name);
}

/** Tables of clusters of this machine, as their names are chosen when a data folder is created. */
const clusterTable = /^skiff-[0-9a-f]{8}$/;

/**
 * Deletes the rules of clusters that no longer exist. `existing` is called after the rules have been listed, so that a
 * cluster that starts meanwhile is among the existing ones.
 */
export async function removeStaleRules(existing: () => ReadonlySet<string>): Promise<void> {
  const found = (await listTables()).filter((table) => clusterTable.test(table));
  const known = existing();
  for (const table of found) if (!known.has(table)) await deleteTable(table);
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
