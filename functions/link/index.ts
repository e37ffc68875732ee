/**
 * What is known of machines: the agents' connections and heartbeats, and what EC2 tells of its instances. It never
 * decides what becomes of a node's pods: that is the controllers'.
 */
import type { z } from "zod";
import { told } from "../environment.ts";
import { log } from "../log.ts";
import { lambda } from "../middleware.ts";
import { connections, openPlane } from "../ports.ts";
import { LinkEvent, type SocketEvent } from "./events.ts";
import { instanceChanged } from "./instances.ts";
import { agentOf, hear } from "./socket.ts";

export const handler = lambda(LinkEvent, async (event) => {
  if ("detail" in event) return instanceChanged(openPlane().client, event);
  return socket(event);
});

async function socket({ requestContext, body }: z.infer<typeof SocketEvent>): Promise<{ statusCode: number }> {
  const { eventType, connectionId, identity } = requestContext;
  if (eventType === "DISCONNECT") {
    await connections().close(connectionId);
    return { statusCode: 200 };
  }
  if (eventType === "MESSAGE") return hear(connections(), connectionId, body ?? "");
  const node = await agentOf(identity, told("SKIFF_NODE_ROLES").split(",").filter(Boolean));
  if (node === undefined) {
    log.warn("a connection was refused: no node's agent", { arn: identity.userArn });
    return { statusCode: 403 };
  }
  await connections().open(connectionId, node);
  return { statusCode: 200 };
}
