import {
  type AttributeValue,
  DeleteItemCommand,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  UpdateItemCommand,
} from "@aws-sdk/client-dynamodb";
import type { Clock } from "#base";
import type { Change, Entry } from "#store";

/** What an agent wants to hear of. */
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
  /** When it will have ended at the latest, in seconds since the epoch: later ones were opened later. */
  until: number;
}

/** The agents' connections and heartbeats: rows of the store's `objects` table in partitions of their own. */
export interface Connections {
  /** A connection was opened by a node's agent. */
  open(id: string, node: string): Promise<void>;
  close(id: string): Promise<void>;
  /** The agent on this connection lives. Rejects when the connection is not known (any more): it must connect anew. */
  beat(id: string): Promise<void>;
  /** What the agent wants to hear of from now on. */
  watch(id: string, watches: Watch[]): Promise<void>;
  all(): Promise<Connection[]>;
  /** The node whose agent has this connection. */
  nodeOf(id: string): Promise<string | undefined>;
  /** The connection that a node's agent opened last. */
  of(node: string): Promise<string | undefined>;
  /** When a node was last heard, in milliseconds since the epoch. */
  heard(node: string): Promise<number | undefined>;
}

const partition = { connections: "connection", heartbeats: "heartbeat" };
/** API Gateway ends a connection after two hours; its end is not always told. */
const life = 7200;

export function dynamoConnections(dynamo: DynamoDBClient, table: string, clock: Clock): Connections {
  const key = (p: string, k: string): Record<string, AttributeValue> => ({ p: { S: p }, k: { S: k } });
  const beatOf = (node: string) =>
    dynamo.send(
      new PutItemCommand({
        TableName: table,
        Item: { ...key(partition.heartbeats, node), t: { N: String(clock.now()) } },
      }),
    );
  const nodes = new Map<string, string>();
  const nodeOf = async (id: string): Promise<string | undefined> => {
    const known = nodes.get(id);
    if (known !== undefined) return known;
    const { Item } = await dynamo.send(
      new GetItemCommand({ TableName: table, Key: key(partition.connections, id), ConsistentRead: true }),
    );
    const node = Item?.["n"]?.S;
    if (node !== undefined) nodes.set(id, node);
    return node;
  };
  const all = async (): Promise<Connection[]> => {
    const found: Connection[] = [];
    let start: Record<string, AttributeValue> | undefined;
    do {
      const page = await dynamo.send(
        new QueryCommand({
          TableName: table,
          KeyConditionExpression: "p = :p",
          ExpressionAttributeValues: { ":p": { S: partition.connections } },
          ...(start ? { ExclusiveStartKey: start } : {}),
        }),
      );
      for (const { k, n, w, e } of page.Items ?? []) {
        const until = Number(e?.N);
        if (until * 1000 < clock.now()) continue;
        found.push({ id: k?.S ?? "", node: n?.S ?? "", watches: JSON.parse(w?.S ?? "[]"), until });
      }
      start = page.LastEvaluatedKey;
    } while (start);
    return found;
  };
  return {
    all,
    nodeOf,
    async of(node) {
      const own = (await all()).filter((each) => each.node === node);
      return own.sort((a, b) => b.until - a.until)[0]?.id;
    },
    async open(id, node) {
      const expires = { N: String(Math.ceil(clock.now() / 1000) + life) };
      const Item = { ...key(partition.connections, id), n: { S: node }, e: expires };
      await dynamo.send(new PutItemCommand({ TableName: table, Item }));
      await beatOf(node);
    },
    async close(id) {
      nodes.delete(id);
      await dynamo.send(new DeleteItemCommand({ TableName: table, Key: key(partition.connections, id) }));
    },
    async beat(id) {
      const node = await nodeOf(id);
      if (node === undefined) throw new Error("a heartbeat on a connection that is not known");
      await beatOf(node);
    },
    async watch(id, watches) {
      await dynamo.send(
        new UpdateItemCommand({
          TableName: table,
          Key: key(partition.connections, id),
          UpdateExpression: "SET w = :w",
          ConditionExpression: "attribute_exists(p)",
          ExpressionAttributeValues: { ":w": { S: JSON.stringify(watches) } },
        }),
      );
    },
    async heard(node) {
      const { Item } = await dynamo.send(
        new GetItemCommand({ TableName: table, Key: key(partition.heartbeats, node), ConsistentRead: true }),
      );
      return Item?.["t"]?.N === undefined ? undefined : Number(Item["t"].N);
    },
  };
}

/** Whether a change concerns a watch: as the object is, or as it was. */
export function concerns({ type, namespace, fields }: Watch, of: string, { key, entry, previous }: Change): boolean {
  if (type !== of) return false;
  if (namespace !== undefined && !key.startsWith(`${namespace}/`)) return false;
  const fits = (state: Entry | undefined): boolean =>
    state !== undefined && Object.entries(fields ?? {}).every(([name, value]) => state.index.fields?.[name] === value);
  return fits(entry) || fits(previous);
}
