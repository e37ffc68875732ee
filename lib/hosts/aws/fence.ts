import { type DynamoDBClient, GetItemCommand, UpdateItemCommand } from "@aws-sdk/client-dynamodb";

const key = { p: { S: "fence" }, k: { S: "scheduler" } };

/**
 * Who began last may go on. A message that is handed out twice, because the first to get it was frozen, makes two
 * schedulers; the earlier one finds the token raised and binds nothing any more.
 */
export async function takeFence(dynamo: DynamoDBClient, table: string): Promise<() => Promise<void>> {
  const raised = await dynamo.send(
    new UpdateItemCommand({
      TableName: table,
      Key: key,
      UpdateExpression: "ADD n :one",
      ExpressionAttributeValues: { ":one": { N: "1" } },
      ReturnValues: "UPDATED_NEW",
    }),
  );
  const token = raised.Attributes?.["n"]?.N;
  return async () => {
    const now = await dynamo.send(new GetItemCommand({ TableName: table, Key: key, ConsistentRead: true }));
    if (now.Item?.["n"]?.N !== token) throw new Error("another scheduler has begun after this one");
  };
}
