import { DescribeTableCommand, type DynamoDBClient, type TableDescription } from "@aws-sdk/client-dynamodb";
import { type Dynamo, type TableDefinition, tables } from "#store/dynamo";
import type { RestoreOptions } from "./restore.ts";

/** What is asked to be made fit again. */
export interface Found {
  /** Never given to another table: a table that is restored once more has another. */
  id: string;
  /** When DynamoDB made the younger of the two, in milliseconds since the epoch. */
  madeAt: number;
}

/** Looks at both tables. Throws an Error that says which of them is not what it should be. */
export async function findTables(client: DynamoDBClient, { objects, changes }: RestoreOptions): Promise<Found> {
  const [first, second] = await Promise.all([
    find(client, objects, tables.objects, "objects"),
    find(client, changes, tables.changes, "changes"),
  ]);
  const made = [first, second].map(({ CreationDateTime: at }) => at?.getTime() ?? 0);
  return { id: first.TableId ?? first.TableArn ?? objects, madeAt: Math.max(...made) };
}

async function find(
  client: DynamoDBClient,
  name: string,
  { partitionKey, sortKey }: TableDefinition,
  role: string,
): Promise<TableDescription> {
  const { Table: table = {} } = await client.send(new DescribeTableCommand({ TableName: name }));
  const keys = (table.KeySchema ?? []).map(({ AttributeName: key }) => {
    const type = table.AttributeDefinitions?.find(({ AttributeName }) => AttributeName === key)?.AttributeType;
    return `${key} (${type})`;
  });
  const wanted = [partitionKey, sortKey].map((key) => `${key.name} (${key.type})`);
  if (keys.join() !== wanted.join())
    throw new Error(`${name} is no table of ${role}: its keys are ${keys.join(", ")} and not ${wanted.join(", ")}`);
  if (table.TableStatus !== "ACTIVE") throw new Error(`${name} is not ready yet: ${table.TableStatus}`);
  return table;
}

/** What is noted of a restore in the table itself: it comes back with the table, but for the table that it was. */
export interface Note {
  begun: number;
  /** Absent while it runs, or when it was interrupted. */
  done?: number;
}

const keyOf = (id: string) => ({ p: { S: "restore" }, k: { S: id } });

export async function readNote(dynamo: Dynamo, table: string, id: string): Promise<Note | undefined> {
  const { Item } = await dynamo.get({ TableName: table, Key: keyOf(id), ConsistentRead: true });
  if (!Item) return undefined;
  const done = Item["done"]?.N;
  return { begun: Number(Item["begun"]?.N), ...(done === undefined ? {} : { done: Number(done) }) };
}

export async function writeNote(dynamo: Dynamo, table: string, id: string, { begun, done }: Note): Promise<void> {
  const times = { begun: { N: String(begun) }, ...(done === undefined ? {} : { done: { N: String(done) } }) };
  await dynamo.put({ TableName: table, Item: { ...keyOf(id), ...times } });
}
