import { userOf } from "#auth/aws-iam";
import { messageOf } from "#base";
import type { Connections } from "../connections.ts";
import { log } from "../log.ts";
import { AgentMessage } from "./events.ts";

interface Identity {
  userArn?: string | null | undefined;
  accountId?: string | null | undefined;
  user?: string | null | undefined;
}

const prefix = "system:node:";

/** The node whose agent signed the request for a connection; undefined for everybody else. */
export async function agentOf(identity: Identity, nodeRoles: readonly string[]): Promise<string | undefined> {
  const { userArn, accountId, user } = identity;
  if (!userArn) return undefined;
  const principal = { arn: userArn, account: accountId ?? "", id: user ?? "" };
  const found = await userOf(principal, { nodeRoles, entries: async () => [] });
  return found?.name.startsWith(prefix) ? found.name.slice(prefix.length) : undefined;
}

/** What an agent says. Nonsense is answered with 400 and changes nothing. */
export async function hear(connections: Connections, id: string, body: string): Promise<{ statusCode: number }> {
  let message: AgentMessage;
  try {
    message = AgentMessage.parse(JSON.parse(body));
  } catch (error) {
    log.warn("an agent said what cannot be understood", { error: messageOf(error).slice(0, 300) });
    return { statusCode: 400 };
  }
  if (message.action === "heartbeat") await connections.beat(id);
  else await connections.watch(id, message.watches);
  return { statusCode: 200 };
}
