import { userOf } from "#auth/aws-iam";
import { messageOf } from "#base";
import { log } from "#hosts/aws";
import { SaidMessage } from "./events.ts";
import { passOn, type RelayParts } from "./relay.ts";

interface Identity {
  userArn?: string | null | undefined;
  accountId?: string | null | undefined;
  user?: string | null | undefined;
}

const prefix = "system:node:";

/** The node whose agent signed the request for a connection; undefined for every other principal. */
export async function agentOf(identity: Identity, nodeRoles: readonly string[]): Promise<string | undefined> {
  const { userArn, accountId, user } = identity;
  if (!userArn) return undefined;
  const principal = { arn: userArn, account: accountId ?? "", id: user ?? "" };
  const found = await userOf(principal, { nodeRoles, entries: async () => [] });
  return found?.name.startsWith(prefix) ? found.name.slice(prefix.length) : undefined;
}

const ticketHeader = "x-skiff-ticket";

/** The ticket with which a client connects; agents send none. */
export const ticketIn = (headers: Record<string, string>): string | undefined =>
  Object.entries(headers).find(([name]) => name.toLowerCase() === ticketHeader)?.[1];

/** Processes a message on a connection. Malformed messages are answered with 400 and change nothing. */
export async function hear(parts: RelayParts, id: string, body: string): Promise<{ statusCode: number }> {
  let message: SaidMessage;
  try {
    message = SaidMessage.parse(JSON.parse(body));
  } catch (error) {
    log.warn("a malformed message was refused", { error: messageOf(error).slice(0, 300) });
    return { statusCode: 400 };
  }
  if (message.action === "relay") return passOn(parts, id, message);
  if (message.action === "heartbeat") await parts.connections.beat(id);
  else await parts.connections.watch(id, message.watches);
  return { statusCode: 200 };
}
