import { type Clock, type Log, messageOf, type Random, serviceUnavailable, sleep } from "#base";
import type { Wakeups } from "#store";
import { type Dynamo, failureOf } from "./client.ts";
import type { Rules } from "./rules.ts";
import type { TableNames } from "./tables.ts";

/** What every part of the driver works with. */
export interface Context {
  dynamo: Dynamo;
  tables: TableNames;
  clock: Clock;
  random: Random;
  log: Log;
  rules: Rules;
  wakeups: Wakeups;
  /** How many shards a type is born with. */
  shards: (type: string) => number;
  /** How many hops led to what is written now. */
  hops: () => number;
}

const readTries = 8;
const longestPause = 400;

/** A pause before another try: from a few milliseconds to about half a second, never the same for two. */
export const pause = ({ clock, random }: Context, attempt: number): Promise<void> =>
  sleep(clock, Math.min(longestPause, 10 * 2 ** attempt) * (0.5 + random.fraction()));

/**
 * Sends something that may be carried out twice without harm until it succeeds. Conditions and refusals come out as
 * they are; 503 when the tables did not answer in time.
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

/** A short name that no other writer has. */
export function nonceOf({ random }: Context): string {
  return Array.from(random.bytes(12), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
