import { createHash } from "node:crypto";
import {
  type AttributeValue,
  DeleteItemCommand,
  type DynamoDBClient,
  PutItemCommand,
  QueryCommand,
} from "@aws-sdk/client-dynamodb";
import { encodeKey, type Work } from "#reconcile";
import { firstName } from "./former-names.ts";
import { decodeMessage, encodeMessage, type Message } from "./message.ts";
import { dueMessage } from "./timers.ts";

/** Keys and the times at which they are due. */
export interface DueIndex {
  /** Stores a key; storing it twice for one time is the same as once. `at` in milliseconds since the epoch. */
  put(work: Work, at: number): Promise<void>;
  /** Passes due keys to `hand` in order of time, and deletes them when it has resolved. Resolves with their number. */
  sweep(now: number, hand: (messages: Message[]) => Promise<void>): Promise<number>;
}

const partition = "due";
const page = 100;
const sortKey = (at: number, hash = ""): string => `${String(at).padStart(15, "0")}#${hash}`;

/** The due index as rows of the store's `objects` table, in a partition of their own, sorted by time. */
export function dynamoDueIndex(dynamo: Pick<DynamoDBClient, "send">, table: string): DueIndex {
  const forget = (k: AttributeValue) =>
    dynamo.send(new DeleteItemCommand({ TableName: table, Key: { p: { S: partition }, k } }));
  return {
    async put(work, at) {
      const hash = createHash("sha256")
        .update(`${firstName(work.controller)}\n${encodeKey(work.key)}`)
        .digest("hex")
        .slice(0, 32);
      const body = encodeMessage(dueMessage(work, at));
      const Item = { p: { S: partition }, k: { S: sortKey(at, hash) }, m: { S: body } };
      await dynamo.send(new PutItemCommand({ TableName: table, Item }));
    },
    async sweep(now, hand) {
      let count = 0;
      for (;;) {
        const answer = await dynamo.send(
          new QueryCommand({
            TableName: table,
            ConsistentRead: true,
            Limit: page,
            KeyConditionExpression: "p = :p AND k < :now",
            ExpressionAttributeValues: { ":p": { S: partition }, ":now": { S: sortKey(now + 1) } },
          }),
        );
        const rows = answer.Items ?? [];
        await hand(rows.flatMap(({ m }) => decodeMessage(m?.S ?? "") ?? []));
        for (const { k } of rows) await forget(k!);
        count += rows.length;
        if (rows.length < page) return count;
      }
    },
  };
}
