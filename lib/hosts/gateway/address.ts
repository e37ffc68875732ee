import { z } from "zod";
import { type Log, messageOf } from "#base";

/** What ECS tells a container about itself (task metadata, version 4), as far as it matters here. */
const Container = z.object({ Networks: z.array(z.object({ IPv4Addresses: z.array(z.ipv4()).optional() })) });

const attempts = 3;
const patience = 3000;

/**
 * The private address of the task that this process is, at which nodes reach it; undefined outside of ECS, and where
 * ECS does not say. `metadata` is what ECS tells in ECS_CONTAINER_METADATA_URI_V4.
 */
export async function ownAddress(metadata: string | undefined, log: Log): Promise<string | undefined> {
  if (metadata === undefined) return undefined;
  for (let attempt = 1; ; attempt++) {
    try {
      const answer = await fetch(metadata, { signal: AbortSignal.timeout(patience) });
      if (!answer.ok) throw new Error(`it answered ${answer.status}`);
      const { Networks } = Container.parse(await answer.json());
      const [address] = Networks.flatMap(({ IPv4Addresses = [] }) => IPv4Addresses);
      if (address === undefined) throw new Error("it names no address");
      return address;
    } catch (error) {
      if (attempt < attempts) continue;
      log.warn("the task's address is not known: agents cannot dial in", { error: messageOf(error) });
      return undefined;
    }
  }
}
