import { readFileSync } from "node:fs";
import { parseSoftThresholds, parseThresholds } from "#agent/eviction";
import { faultOf, removeStaleRules } from "#agent/network";
import { parseReserved } from "#agent/node";
import { removeStaleRoutes } from "#agent/overlay";
import { parsePeriods } from "#agent/shutdown";
import { type Log, messageOf } from "#base";
import { shutdownOf } from "./agent-process.ts";
import { Refusal } from "./data-folder.ts";
import { clusterBlocks, clusterNames } from "./network.ts";
import type { MachineOptions } from "./options.ts";

/** Throws Refusal for options of a machine that cannot be. */
export function checkMachine(options: MachineOptions): void {
  if (options.staticPodUrlHeader.length > 0 && options.staticPodUrl === undefined)
    throw new Refusal("--static-pod-url-header needs --static-pod-url");
  checkEviction(options);
  check("shutdown-grace-period", () => parsePeriods(shutdownOf(options).shutdown ?? {}));
  check("system-reserved", () => parseReserved(options.systemReserved ?? ""));
  check("kube-reserved", () => parseReserved(options.kubeReserved ?? ""));
  try {
    if (options.resolvConf !== undefined) readFileSync(options.resolvConf);
  } catch (error) {
    throw new Refusal(`--resolv-conf ${options.resolvConf} cannot be read: ${messageOf(error)}`);
  }
}

/** Throws a Refusal that names the option when its value cannot be parsed. */
function check(name: string, parse: () => unknown): void {
  try {
    parse();
  } catch (error) {
    throw new Refusal(`--${name}: ${messageOf(error)}`);
  }
}

type EvictionOptions = Pick<MachineOptions, "evictionHard" | "evictionSoft" | "evictionSoftGracePeriod">;

function checkEviction({ evictionHard, evictionSoft, evictionSoftGracePeriod = "" }: EvictionOptions): void {
  if (evictionHard !== undefined) check("eviction-hard", () => parseThresholds(evictionHard));
  if (evictionSoft !== undefined)
    check("eviction-soft", () => parseSoftThresholds(evictionSoft, evictionSoftGracePeriod));
}

/** Checks the proxy mode, and deletes the rules and routes of clusters whose data folders are gone. */
export async function prepareRules({ proxyMode }: MachineOptions, log: Log): Promise<void> {
  const fault = proxyMode && (await faultOf(proxyMode));
  if (fault) throw new Refusal(`--proxy-mode ${proxyMode}: ${fault}`);
  await removeStaleRules(clusterNames).catch((error: unknown) =>
    log.warn("the rules of removed clusters could not be deleted", { error: messageOf(error) }),
  );
  await removeStaleRoutes(() => ({ bridges: clusterNames(), blocks: clusterBlocks() })).catch((error: unknown) =>
    log.warn("the routes of removed clusters could not be deleted", { error: messageOf(error) }),
  );
}
