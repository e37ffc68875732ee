import type { TransactWriteItem } from "@aws-sdk/client-dynamodb";
import type { Change, Commit, Entry, Write } from "#store";
import { type Packed, pack as packBody, partCount, partKey, partsOf } from "./bodies.ts";
import { type Context, nonceOf } from "./context.ts";
import { type Head, objectPartition, slotPartition } from "./head.ts";
import { type Before, changeItem, expiry, keepsPrevious, objectItem, tombstone, type Written } from "./items.ts";

/** A pending write with its current ticket. */
export interface Pending {
  write: Write;
  /** Its index in the commit. */
  position: number;
  before: Before | undefined;
  ticket: number;
  drawnAt: number;
  tickets: number;
  nonce: string;
  entry: Entry;
  packed: Packed;
  items: TransactWriteItem[];
}

export interface Committing {
  context: Context;
  type: string;
  /** The head of the last draw, with the shards of every ticket of this commit. */
  head: Head;
  results: (Commit | undefined)[];
  /** The stored change, with the state before it. */
  changes: Change[];
  /** The highest revision that this commit has stored: later writes must be above it. */
  top: number;
}

/** A write whose condition held when the objects were read; it has no ticket yet. */
export type Unprepared = Pick<Pending, "write" | "position" | "before" | "tickets">;

/** The items that a write puts into the tables with a ticket. */
export function prepare(
  { context, type, head }: Committing,
  each: Unprepared,
  ticket: number,
  drawnAt: number,
): Pending {
  const { write, before } = each;
  const at = context.clock.now();
  const { key, schema, index } = write;
  const entry: Entry = { key, revision: ticket, body: write.body(ticket), schema, index };
  const packed = packBody(entry.body);
  const nonce = nonceOf(context);
  const objects: Written = {
    ...{ type, key, revision: ticket, at, schema, index, packed },
    partition: objectPartition(type, head.objectShards, key),
  };
  const slot: Written = { ...objects, partition: slotPartition(type, head.shards, ticket) };
  const carries = context.rules.carryPrevious && before !== undefined && !keepsPrevious(before.item, at);
  const change = changeItem(slot, write.type, nonce, before, { carries, hops: context.hops() });
  const items = [
    objectWrite(context, write, objects),
    {
      Put: {
        TableName: context.tables.changes,
        Item: change,
        ConditionExpression: "attribute_not_exists(p)",
        ReturnValuesOnConditionCheckFailure: "ALL_OLD" as const,
      },
    },
    ...partWrites(context, type, write, objects, before),
  ];
  return { ...each, ticket, drawnAt, nonce, entry, packed, items };
}

function objectWrite({ tables, rules }: Context, write: Write, written: Written): TransactWriteItem {
  const ticket = { ":ticket": { N: String(written.revision) } };
  const base = { TableName: tables.objects, ReturnValuesOnConditionCheckFailure: "ALL_OLD" as const };
  if (write.type === "create") {
    const Item = objectItem(written);
    if (!rules.tombstones || !rules.belowTicket)
      return { Put: { ...base, Item, ConditionExpression: "attribute_not_exists(p) OR attribute_exists(d)" } };
    const ConditionExpression = "attribute_not_exists(p) OR (attribute_exists(d) AND r < :ticket)";
    return { Put: { ...base, Item, ConditionExpression, ExpressionAttributeValues: ticket } };
  }
  const condition = {
    ConditionExpression: `r = :expected AND attribute_not_exists(d)${rules.belowTicket ? " AND r < :ticket" : ""}`,
    ExpressionAttributeValues: {
      ":expected": { N: String(write.expected) },
      ...(rules.belowTicket ? ticket : {}),
    },
  };
  const Item = write.type === "delete" ? tombstone(written) : objectItem(written);
  if (write.type === "delete" && !rules.tombstones)
    return { Delete: { ...base, ...condition, Key: { p: Item["p"]!, k: Item["k"]! } } };
  return { Put: { ...base, ...condition, Item } };
}

/** New parts are put under new keys; those of the state before expire with this change. */
function partWrites(
  { tables }: Context,
  type: string,
  write: Write,
  { revision, at, packed }: Written,
  before: Before | undefined,
): TransactWriteItem[] {
  const expires = expiry(at);
  const puts = partsOf(type, revision, packed, write.type === "delete" ? expires : undefined).map((Item) => ({
    Put: { TableName: tables.objects, Item, ConditionExpression: "attribute_not_exists(p)" },
  }));
  const old = Array.from({ length: before ? partCount(before.item) : 0 }, (_, part) => ({
    Update: {
      TableName: tables.objects,
      Key: partKey(type, before!.entry.revision, part),
      UpdateExpression: "SET e = :e",
      ExpressionAttributeValues: { ":e": { N: String(expires) } },
    },
  }));
  return [...puts, ...old];
}
