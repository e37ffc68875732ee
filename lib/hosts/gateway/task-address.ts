import { z } from "zod";
import { type Log, messageOf } from "#base";

/** The used part of a container's metadata (task metadata endpoint, version 4). */
const Container = z.object({ Networks: z.array(z.object({ IPv4Addresses: z.array(z.ipv4()).optional() })) });

const maxAttempts = 3;
/** Milliseconds. */
const requestTimeout = 3000;

/**
 * The private address of this process's task, at which nodes reach it; undefined outside of ECS, and when ECS does not
 * report it. `metadata` is the value of ECS_CONTAINER_METADATA_URI_V4.
 */
export async function taskAddress(metadata: string | undefined, log: Log): Promise<string | undefined> {
  if (metadata === undefined) return undefined;
  for (let attempt = 1; ; attempt++) {
    try {
      const response = await fetch(metadata, { signal: AbortSignal.timeout(requestTimeout) });
      if (!response.ok) throw new Error(`the metadata endpoint answered ${response.status}`);
      const { Networks } = Container.parse(await response.json());
      const [address] = Networks.flatMap(({ IPv4Addresses = [] }) => IPv4Addresses);
      if (address === undefined) throw new Error("the metadata has no address");
      return address;
    } catch (error) {
      if (attempt < maxAttempts) continue;
      log.warn("the task's address is unknown: agents cannot connect", { error: messageOf(error) });
      return undefined;
    }
  }
}
