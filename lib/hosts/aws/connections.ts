import {
  DeleteItemCommand,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  UpdateItemCommand,
} from "@aws-sdk/client-dynamodb";
import type { Clock } from "#base";
import type { Change, Entry } from "#store";
import { expiresAfter, keyOf, type Row, rows } from "./rows.ts";

/** The objects whose changes are reported to an agent. */
export interface Watch {
  /** Storage type, such as `core/pods`. */
  type: string;
  namespace?: string | undefined;
  /** Selectable fields that must have these values. */
  fields?: Record<string, string> | undefined;
}

/** An agent's open connection. */
export interface Connection {
  id: string;
  node: string;
  watches: Watch[];
  /** The latest time of its end, in seconds since the epoch: a connection opened later has a later one. */
  until: number;
}

/** The agents' connections and heartbeats. */
export interface Connections {
  /** Records a connection that a node's agent has opened. */
  open(id: string, node: string): Promise<void>;
  close(id: string): Promise<void>;
  /** Records a heartbeat. Rejects for an unknown connection: its agent must connect again. */
  beat(id: string): Promise<void>;
  /** Replaces the watches of an agent. */
  watch(id: string, watches: Watch[]): Promise<void>;
  all(): Promise<Connection[]>;
  /** The node whose agent has this connection. */
  nodeOf(id: string): Promise<string | undefined>;
  /** The connection that a node's agent opened last. */
  of(node: string): Promise<string | undefined>;
  /** When a node was last heard, in milliseconds since the epoch. */
  heard(node: string): Promise<number | undefined>;
}

/** Seconds. API Gateway ends a connection after two hours, and does not always report its end. */
const lifetime = 7200;
const { node: nodeName, watches: watchList, expires } = rows.connection.attributes;
const { time } = rows.heartbeat.attributes;

/** Connections and heartbeats as rows of the store's `objects` table. */
export class DynamoConnections implements Connections {
  readonly #dynamo: DynamoDBClient;
  readonly #table: string;
  readonly #clock: Clock;
  /** Nodes by connection: the node of a connection never changes. */
  readonly #nodes = new Map<string, string>();

  constructor({ dynamo, table, clock }: { dynamo: DynamoDBClient; table: string; clock: Clock }) {
    this.#dynamo = dynamo;
    this.#table = table;
    this.#clock = clock;
  }

  async open(id: string, node: string): Promise<void> {
    const Item = {
      ...keyOf("connection", id),
      [nodeName]: { S: node },
      [expires]: expiresAfter(this.#clock.now(), lifetime),
    };
    await this.#dynamo.send(new PutItemCommand({ TableName: this.#table, Item }));
    await this.#putHeartbeat(node);
  }

  async close(id: string): Promise<void> {
    this.#nodes.delete(id);
    await this.#dynamo.send(new DeleteItemCommand({ TableName: this.#table, Key: keyOf("connection", id) }));
  }

  async beat(id: string): Promise<void> {
    const node = await this.nodeOf(id);
    if (node === undefined) throw new Error("a heartbeat on an unknown connection");
    await this.#putHeartbeat(node);
  }

  async watch(id: string, watches: Watch[]): Promise<void> {
    await this.#dynamo.send(
      new UpdateItemCommand({
        TableName: this.#table,
        Key: keyOf("connection", id),
        UpdateExpression: `SET ${watchList} = :w`,
        ConditionExpression: "attribute_exists(p)",
        ExpressionAttributeValues: { ":w": { S: JSON.stringify(watches) } },
      }),
    );
  }

  async all(): Promise<Connection[]> {
    const found: Connection[] = [];
    let start: Row | undefined;
    do {
      const page = await this.#dynamo.send(
        new QueryCommand({
          TableName: this.#table,
          KeyConditionExpression: "p = :p",
          ExpressionAttributeValues: { ":p": { S: rows.connection.partition } },
          ...(start ? { ExclusiveStartKey: start } : {}),
        }),
      );
      for (const row of page.Items ?? []) {
        const connection = connectionIn(row);
        if (connection.until * 1000 >= this.#clock.now()) found.push(connection);
      }
      start = page.LastEvaluatedKey;
    } while (start);
    return found;
  }

  async nodeOf(id: string): Promise<string | undefined> {
    const known = this.#nodes.get(id);
    if (known !== undefined) return known;
    const node = (await this.#get(keyOf("connection", id)))?.[nodeName]?.S;
    if (node !== undefined) this.#nodes.set(id, node);
    return node;
  }

  async of(node: string): Promise<string | undefined> {
    const own = (await this.all()).filter((each) => each.node === node);
    return own.sort((a, b) => b.until - a.until)[0]?.id;
  }

  async heard(node: string): Promise<number | undefined> {
    const heard = (await this.#get(keyOf("heartbeat", node)))?.[time]?.N;
    return heard === undefined ? undefined : Number(heard);
  }

  async #putHeartbeat(node: string): Promise<void> {
    const Item = { ...keyOf("heartbeat", node), [time]: { N: String(this.#clock.now()) } };
    await this.#dynamo.send(new PutItemCommand({ TableName: this.#table, Item }));
  }

  async #get(Key: Row): Promise<Row | undefined> {
    const { Item } = await this.#dynamo.send(new GetItemCommand({ TableName: this.#table, Key, ConsistentRead: true }));
    return Item;
  }
}

const connectionIn = (row: Row): Connection => ({
  id: row["k"]?.S ?? "",
  node: row[nodeName]?.S ?? "",
  watches: JSON.parse(row[watchList]?.S ?? "[]"),
  until: Number(row[expires]?.N),
});

/** Whether a watch selects a change, by the object's state before it or after it. */
export function concerns({ type, namespace, fields }: Watch, of: string, { key, entry, previous }: Change): boolean {
  if (type !== of) return false;
  if (namespace !== undefined && !key.startsWith(`${namespace}/`)) return false;
  const fits = (state: Entry | undefined): boolean =>
    state !== undefined && Object.entries(fields ?? {}).every(([name, value]) => state.index.fields?.[name] === value);
  return fits(entry) || fits(previous);
}
