import {
  DeleteItemCommand,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  UpdateItemCommand,
} from "@aws-sdk/client-dynamodb";
import type { Clock, Random } from "#base";
import { expiresAfter, keyOf, type Row, rows } from "./rows.ts";

/** One request to a node, and the agent's end of its relay. */
export interface Relayed {
  node: string;
  /** The agent's connection. */
  agent: string;
  /** The authorized request; undefined for an agent that has reconnected and must not start it again. */
  path: string | undefined;
}

/** Tickets for authorized requests, and the relays that were begun with them. */
export interface Relays {
  /** Issues a ticket: the principal may begin the relay once, within a minute. */
  allow(principal: string, what: Relayed & { path: string }): Promise<string>;
  /** Begins the relay on a connection. False for a ticket that is unknown, used, expired or another principal's. */
  begin(connection: string, ticket: string, principal: string): Promise<boolean>;
  /** The relay of a client's connection; the result may be half a minute old. */
  find(connection: string): Promise<Relayed | undefined>;
  /** Records that the agent has another connection now. */
  move(connection: string, agent: string): Promise<void>;
  /** Ends the relay of a client's connection. Resolves with it, once. */
  end(connection: string): Promise<Relayed | undefined>;
}

const ticketForm = /^[\w-]{43}$/;
const ticketSeconds = 60;
/** API Gateway ends a connection after two hours. */
const relaySeconds = 7200;
/** Milliseconds for which a relay is cached. A connection that has ended meanwhile fails at the next frame. */
const maxAge = 30_000;
const cacheSize = 1000;
const { node, agent, path, principal: principalName, expires } = rows.ticket.attributes;

interface RelayTable {
  dynamo: DynamoDBClient;
  table: string;
  clock: Clock;
  random: Random;
}

/** Tickets and relays as rows of the store's `objects` table. */
export class DynamoRelays implements Relays {
  readonly #dynamo: DynamoDBClient;
  readonly #table: string;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #cache = new Map<string, { at: number; what: Relayed }>();

  constructor({ dynamo, table, clock, random }: RelayTable) {
    this.#dynamo = dynamo;
    this.#table = table;
    this.#clock = clock;
    this.#random = random;
  }

  async allow(principal: string, what: Relayed & { path: string }): Promise<string> {
    const ticket = Buffer.from(this.#random.bytes(32)).toString("base64url");
    const Item = {
      ...keyOf("ticket", ticket),
      [node]: { S: what.node },
      [agent]: { S: what.agent },
      [path]: { S: what.path },
      [principalName]: { S: principal },
      [expires]: expiresAfter(this.#clock.now(), ticketSeconds),
    };
    await this.#dynamo.send(new PutItemCommand({ TableName: this.#table, Item }));
    return ticket;
  }

  async begin(connection: string, ticket: string, principal: string): Promise<boolean> {
    if (!ticketForm.test(ticket) || principal === "") return false;
    // Only the caller whose delete succeeds has the ticket. After a failure beyond this point the client requests
    // another.
    const taken = await this.#takeTicket(ticket, principal);
    if (!taken) return false;
    const Item = {
      ...keyOf("relay", connection),
      [node]: taken[node]!,
      [agent]: taken[agent]!,
      [path]: taken[path]!,
      [expires]: expiresAfter(this.#clock.now(), relaySeconds),
    };
    await this.#dynamo.send(new PutItemCommand({ TableName: this.#table, Item }));
    return true;
  }

  async find(connection: string): Promise<Relayed | undefined> {
    const last = this.#cache.get(connection);
    if (last && this.#clock.now() - last.at < maxAge) return last.what;
    this.#cache.delete(connection);
    const { Item } = await this.#dynamo.send(
      new GetItemCommand({ TableName: this.#table, Key: keyOf("relay", connection), ConsistentRead: true }),
    );
    const what = this.#relayIn(Item);
    if (what) this.#remember(connection, what);
    return what;
  }

  async move(connection: string, to: string): Promise<void> {
    this.#cache.delete(connection);
    await this.#dynamo.send(
      new UpdateItemCommand({
        TableName: this.#table,
        Key: keyOf("relay", connection),
        UpdateExpression: `SET ${agent} = :agent REMOVE ${path}`,
        ConditionExpression: "attribute_exists(p)",
        ExpressionAttributeValues: { ":agent": { S: to } },
      }),
    );
  }

  async end(connection: string): Promise<Relayed | undefined> {
    this.#cache.delete(connection);
    const { Attributes } = await this.#dynamo.send(
      new DeleteItemCommand({ TableName: this.#table, Key: keyOf("relay", connection), ReturnValues: "ALL_OLD" }),
    );
    return this.#relayIn(Attributes);
  }

  /** Deletes a good ticket and resolves with its row. */
  async #takeTicket(ticket: string, principal: string): Promise<Row | undefined> {
    const command = new DeleteItemCommand({
      TableName: this.#table,
      Key: keyOf("ticket", ticket),
      ConditionExpression: `${principalName} = :principal AND ${expires} > :now`,
      ExpressionAttributeValues: {
        ":principal": { S: principal },
        ":now": { N: String(Math.floor(this.#clock.now() / 1000)) },
      },
      ReturnValues: "ALL_OLD",
    });
    const deleted = await this.#dynamo.send(command).catch((error: Error) => {
      if (error.name === "ConditionalCheckFailedException") return undefined;
      throw error;
    });
    return deleted?.Attributes;
  }

  #relayIn(row: Row | undefined): Relayed | undefined {
    if (!row || Number(row[expires]?.N) * 1000 < this.#clock.now()) return undefined;
    return { node: row[node]?.S ?? "", agent: row[agent]?.S ?? "", path: row[path]?.S };
  }

  #remember(connection: string, what: Relayed): void {
    if (this.#cache.size >= cacheSize) this.#cache.clear();
    this.#cache.set(connection, { at: this.#clock.now(), what });
  }
}
