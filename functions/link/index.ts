/**
 * The agents' connections and heartbeats, EC2's events about instances, and the frames between clients and agents. It
 * decides neither about a node's pods nor about a client's permissions.
 */
import type { z } from "zod";
import { connections, lambda, log, openPlane } from "#hosts/aws";
import { listIn, requiredVariable } from "#hosts/aws/environment";
import { LinkEvent, type SocketEvent } from "./events.ts";
import { instanceChanged } from "./instances.ts";
import { push, relays } from "./ports.ts";
import { endRelay } from "./relay.ts";
import { agentOf, hear, ticketIn } from "./socket.ts";

export const handler = lambda(LinkEvent, async (event) => {
  if ("detail" in event) return instanceChanged(openPlane().client, (node) => connections().heard(node), event);
  return socket(event);
});

async function socket(event: z.infer<typeof SocketEvent>): Promise<{ statusCode: number }> {
  const { eventType, connectionId, identity } = event.requestContext;
  const parts = { connections: connections(), relays: relays(), push: push() };
  if (eventType === "MESSAGE") return hear(parts, connectionId, event.body ?? "");
  if (eventType === "DISCONNECT") {
    // The event does not say whether the connection was an agent's or a client's.
    await Promise.all([connections().close(connectionId), endRelay(parts, connectionId)]);
    return { statusCode: 200 };
  }
  const ticket = ticketIn(event.headers ?? {});
  if (ticket !== undefined) {
    if (await relays().begin(connectionId, ticket, identity.userArn ?? "")) return { statusCode: 200 };
    log.warn("a connection was refused: its ticket is not good", { arn: identity.userArn });
    return { statusCode: 403 };
  }
  const node = await agentOf(identity, listIn(requiredVariable("SKIFF_NODE_ROLES")));
  if (node === undefined) {
    log.warn("a connection was refused: no node's agent", { arn: identity.userArn });
    return { statusCode: 403 };
  }
  await connections().open(connectionId, node);
  return { statusCode: 200 };
}
