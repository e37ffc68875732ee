import { type DynamoDBClient, GetItemCommand, UpdateItemCommand } from "@aws-sdk/client-dynamodb";
import { keyOf, rows } from "./rows.ts";

const Key = keyOf("fence", "scheduler");
const { token } = rows.fence.attributes;

/**
 * Raises the scheduler's fencing token. Resolves with a check that rejects once a later run has raised it again: a
 * message that is delivered twice, because its first receiver was frozen, starts two schedulers, and the earlier must
 * not bind.
 */
export async function takeFence(dynamo: DynamoDBClient, table: string): Promise<() => Promise<void>> {
  const raised = await dynamo.send(
    new UpdateItemCommand({
      TableName: table,
      Key,
      UpdateExpression: `ADD ${token} :one`,
      ExpressionAttributeValues: { ":one": { N: "1" } },
      ReturnValues: "UPDATED_NEW",
    }),
  );
  const own = raised.Attributes?.[token]?.N;
  return async () => {
    const { Item } = await dynamo.send(new GetItemCommand({ TableName: table, Key, ConsistentRead: true }));
    if (Item?.[token]?.N !== own) throw new Error("another scheduler has started after this one");
  };
}
