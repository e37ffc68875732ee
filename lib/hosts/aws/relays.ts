import {
  type AttributeValue,
  DeleteItemCommand,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  UpdateItemCommand,
} from "@aws-sdk/client-dynamodb";
import type { Clock, Random } from "#base";

/** One request to a node, and between whom its frames go. */
export interface Relayed {
  node: string;
  /** The agent's connection. */
  agent: string;
  /** What was asked of the node and allowed; undefined when an agent that connected later must not begin it. */
  path: string | undefined;
}

/** What was allowed and what goes on: rows of the store's `objects` table in partitions of their own. */
export interface Relays {
  /** Notes what a principal may begin, once, within a minute. Resolves with the ticket for it. */
  allow(principal: string, what: Relayed & { path: string }): Promise<string>;
  /** Begins it on a connection. False for a ticket that is unknown, used, another principal's or too old. */
  begin(connection: string, ticket: string, principal: string): Promise<boolean>;
  /** What goes on over a client's connection; what is told may be half a minute old. */
  find(connection: string): Promise<Relayed | undefined>;
  /** The agent has another connection now. */
  move(connection: string, agent: string): Promise<void>;
  /** The client's connection has ended. Resolves with what went on over it. */
  end(connection: string): Promise<Relayed | undefined>;
}

const partition = { tickets: "ticket", relays: "relay" };
const ticketForm = /^[\w-]{43}$/;
const ticketSeconds = 60;
/** API Gateway ends a connection after two hours. */
const relaySeconds = 7200;
/** What is known of a relay is good for so long; who has gone meanwhile is noticed when it is spoken to. */
const maxAge = 30_000;
const mostKnown = 1000;

type Row = Record<string, AttributeValue>;

export function dynamoRelays(dynamo: DynamoDBClient, table: string, clock: Clock, random: Random): Relays {
  const key = (p: string, k: string): Row => ({ p: { S: p }, k: { S: k } });
  const after = (seconds: number) => ({ N: String(Math.ceil(clock.now() / 1000) + seconds) });
  const known = new Map<string, { at: number; what: Relayed }>();
  const remember = (connection: string, what: Relayed): void => {
    if (known.size >= mostKnown) known.clear();
    known.set(connection, { at: clock.now(), what });
  };
  return {
    async allow(principal, { node, agent, path }) {
      const ticket = Buffer.from(random.bytes(32)).toString("base64url");
      const what = { n: { S: node }, a: { S: agent }, x: { S: path } };
      const Item = { ...key(partition.tickets, ticket), ...what, u: { S: principal }, e: after(ticketSeconds) };
      await dynamo.send(new PutItemCommand({ TableName: table, Item }));
      return ticket;
    },
    async begin(connection, ticket, principal) {
      if (!ticketForm.test(ticket) || principal === "") return false;
      // Whoever takes it away has it: nobody else does. If this fails after that, a new ticket is asked for.
      const taken = await dynamo
        .send(
          new DeleteItemCommand({
            TableName: table,
            Key: key(partition.tickets, ticket),
            ConditionExpression: "u = :principal AND e > :now",
            ExpressionAttributeValues: {
              ":principal": { S: principal },
              ":now": { N: String(Math.floor(clock.now() / 1000)) },
            },
            ReturnValues: "ALL_OLD",
          }),
        )
        .catch((error: Error) => {
          if (error.name === "ConditionalCheckFailedException") return undefined;
          throw error;
        });
      if (!taken?.Attributes) return false;
      const { n, a, x } = taken.Attributes as { n: AttributeValue; a: AttributeValue; x: AttributeValue };
      const Item = { ...key(partition.relays, connection), n, a, x, e: after(relaySeconds) };
      await dynamo.send(new PutItemCommand({ TableName: table, Item }));
      return true;
    },
    async find(connection) {
      const last = known.get(connection);
      if (last && clock.now() - last.at < maxAge) return last.what;
      known.delete(connection);
      const { Item } = await dynamo.send(
        new GetItemCommand({ TableName: table, Key: key(partition.relays, connection), ConsistentRead: true }),
      );
      const what = relayed(Item, clock);
      if (what) remember(connection, what);
      return what;
    },
    async move(connection, agent) {
      known.delete(connection);
      await dynamo.send(
        new UpdateItemCommand({
          TableName: table,
          Key: key(partition.relays, connection),
          UpdateExpression: "SET a = :agent REMOVE x",
          ConditionExpression: "attribute_exists(p)",
          ExpressionAttributeValues: { ":agent": { S: agent } },
        }),
      );
    },
    async end(connection) {
      known.delete(connection);
      const { Attributes } = await dynamo.send(
        new DeleteItemCommand({ TableName: table, Key: key(partition.relays, connection), ReturnValues: "ALL_OLD" }),
      );
      return relayed(Attributes, clock);
    },
  };
}

function relayed(row: Row | undefined, clock: Clock): Relayed | undefined {
  if (!row || Number(row["e"]?.N) * 1000 < clock.now()) return undefined;
  return { node: row["n"]?.S ?? "", agent: row["a"]?.S ?? "", path: row["x"]?.S };
}
