import { type Clock, type Log, messageOf, sleep } from "#base";
import type { Client } from "#client";
import { hostFacts } from "./facts.ts";
import { ensureNode } from "./register.ts";

export interface RangeOptions {
  name: string;
  client: Client;
  clock: Clock;
  log: Log;
  /** A folder of this machine. */
  folder: string;
  labels?: Record<string, string> | undefined;
  signal: AbortSignal;
}

const firstPause = 500;
const longestPause = 10_000;
/** Nobody gives ranges, or none is left: somebody should hear of it. */
const longWait = 60_000;

/**
 * Registers the node and waits until the cluster has given it its part of the pod addresses; everything else of the
 * node needs that first. Undefined when the signal aborts before.
 */
export async function nodeRange(options: RangeOptions): Promise<string | undefined> {
  const { name, clock, log, folder, signal } = options;
  const started = clock.now();
  let told = started;
  for (let pause = firstPause; !signal.aborted; pause = Math.min(pause * 1.5, longestPause)) {
    try {
      const { spec } = await ensureNode(options, await hostFacts(folder));
      if (spec?.podCIDR) return spec.podCIDR;
    } catch (error) {
      log.warn("the node could not be registered", { node: name, error: messageOf(error) });
    }
    if (clock.now() - told > longWait) {
      told = clock.now();
      log.warn("the node waits for its part of the pod addresses", { node: name, since: new Date(started) });
    }
    await sleep(clock, pause, signal);
  }
  return undefined;
}
