import { DescribeTableCommand, type DynamoDBClient, type TableDescription } from "@aws-sdk/client-dynamodb";
import { type Dynamo, type TableDefinition, tables } from "#store/dynamo";
import type { RestoreOptions } from "./restore.ts";

/** The options of a restore. */
export interface Found {
  /** Unique: a table that is restored again has another id. */
  id: string;
  /** When DynamoDB created the newer of the two, in milliseconds since the epoch. */
  madeAt: number;
}

/** Reads both tables. Throws an Error that names the one that is not as expected. */
export async function findTables(client: DynamoDBClient, { objects, changes }: RestoreOptions): Promise<Found> {
  const [first, second] = await Promise.all([
    find(client, objects, tables.objects, "objects"),
    find(client, changes, tables.changes, "changes"),
  ]);
  const created = [first, second].map(({ CreationDateTime: at }) => at?.getTime() ?? 0);
  return { id: first.TableId ?? first.TableArn ?? objects, madeAt: Math.max(...created) };
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
  const expected = [partitionKey, sortKey].map((key) => `${key.name} (${key.type})`);
  if (keys.join() !== expected.join())
    throw new Error(`${name} is not a table of ${role}: its keys are ${keys.join(", ")}, not ${expected.join(", ")}`);
  if (table.TableStatus !== "ACTIVE") throw new Error(`${name} is not ready yet: ${table.TableStatus}`);
  return table;
}

/** The record of a restore in the table itself. It is restored with the table, but names the id of the old one. */
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

/** Records a restore in the table with this name and id. */
export async function writeNote(
  dynamo: Dynamo,
  { table, id }: { table: string; id: string },
  { begun, done }: Note,
): Promise<void> {
  const times = { begun: { N: String(begun) }, ...(done === undefined ? {} : { done: { N: String(done) } }) };
  await dynamo.put({ TableName: table, Item: { ...keyOf(id), ...times } });
}
