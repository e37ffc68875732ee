import { type Clock, type Log, messageOf, sleep } from "#base";
import type { Client } from "#client";
import { hostFacts } from "./facts.ts";
import { ensureNode } from "./register.ts";

export interface PodCidrOptions {
  name: string;
  client: Client;
  clock: Clock;
  log: Log;
  /** A folder of this machine. */
  folder: string;
  labels?: Record<string, string> | undefined;
  signal: AbortSignal;
}

const firstPauseMilliseconds = 500;
const longestPauseMilliseconds = 10_000;
/** A warning is logged this often while the cluster assigns no range. */
const warningMilliseconds = 60_000;

/**
 * Registers the node and waits until the cluster has assigned its range of pod addresses, which the other parts of the
 * node need. Undefined when the signal aborts before.
 */
export async function waitForPodCidr(options: PodCidrOptions): Promise<string | undefined> {
  const { name, clock, log, folder, signal } = options;
  const started = clock.now();
  let warnedAt = started;
  for (let pause = firstPauseMilliseconds; !signal.aborted; pause = Math.min(pause * 1.5, longestPauseMilliseconds)) {
    try {
      const { spec } = await ensureNode(options, await hostFacts(folder));
      if (spec?.podCIDR) return spec.podCIDR;
    } catch (error) {
      log.warn("the node could not be registered", { node: name, error: messageOf(error) });
    }
    if (clock.now() - warnedAt > warningMilliseconds) {
      warnedAt = clock.now();
      log.warn("the node waits for its range of pod addresses", { node: name, since: new Date(started) });
    }
    await sleep(clock, pause, signal);
  }
  return undefined;
}
