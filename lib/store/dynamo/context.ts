import { type Clock, type Log, messageOf, type Random, serviceUnavailable, sleep } from "#base";
import type { Wakeups } from "#store";
import { type Dynamo, failureOf } from "./client.ts";
import type { Rules } from "./rules.ts";
import type { TableNames } from "./tables.ts";

/** The context of every part of the driver. */
export interface Context {
  dynamo: Dynamo;
  tables: TableNames;
  clock: Clock;
  random: Random;
  log: Log;
  rules: Rules;
  wakeups: Wakeups;
  /** The number of shards of a new type. */
  shards: (type: string) => number;
  /** The number of writes that led to the current one. */
  hops: () => number;
}

const readTries = 8;
const longestPause = 400;

/** A random pause before a retry, from a few milliseconds to about half a second. */
export const pause = ({ clock, random }: Context, attempt: number): Promise<void> =>
  sleep(clock, Math.min(longestPause, 10 * 2 ** attempt) * (0.5 + random.fraction()));

/**
 * Sends an idempotent request until it succeeds. Throws failed conditions and refusals unchanged, and ApiError 503 when
 * the tables do not answer in time.
 */
export async function persist<T>(context: Context, send: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await send();
    } catch (error) {
      const { kind } = failureOf(error);
      if (kind !== "again" && kind !== "unknown") throw error;
      if (attempt >= readTries) throw Object.assign(serviceUnavailable("the store does not answer"), { cause: error });
      context.log.debug("a request to the tables failed and is sent again", { error: messageOf(error), attempt });
      await pause(context, attempt);
    }
  }
}

/** A unique short name. */
export function nonceOf({ random }: Context): string {
  return Array.from(random.bytes(12), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
