import { internalError, isApiError } from "#base";
import { type Dynamo, failureOf, type Item } from "./client.ts";
import { type Context, pause, persist } from "./context.ts";
import { type Head, type Sharding, slotPartition } from "./head.ts";
import { revisionOf, voidItem } from "./items.ts";

const voidTries = 12;

/**
 * Settles a slot: fills it with a void unless it is filled. Returns its former content; undefined when this call has
 * filled it. Throws after `until` (milliseconds), when the slot may have expired, and when the table does not answer:
 * nothing is known then.
 */
export async function fillSlot(
  context: Context,
  type: string,
  shards: Sharding[],
  revision: number,
  until: number,
): Promise<Item | undefined> {
  const { dynamo, tables, clock, rules } = context;
  const checkTime = () => {
    if (rules.slotsExpire && clock.now() > until)
      throw internalError(`it is too late to tell what became of revision ${revision} of ${type}`);
  };
  for (let attempt = 0; ; attempt++) {
    checkTime();
    try {
      await dynamo.put({
        TableName: tables.changes,
        Item: voidItem(slotPartition(type, shards, revision), revision, clock.now()),
        ConditionExpression: "attribute_not_exists(p)",
        ReturnValuesOnConditionCheckFailure: "ALL_OLD",
      });
      checkTime();
      return undefined;
    } catch (error) {
      const failure = failureOf(error);
      if (isApiError(error)) throw error;
      // After an unknown outcome this may be our own void, which means the same as another's.
      if (failure.kind === "condition" && failure.item) return failure.item;
      if (failure.kind === "refused" || failure.kind === "cancelled") throw error;
      if (attempt >= voidTries) throw internalError(`revision ${revision} of ${type} cannot be settled`, error);
      await pause(context, Math.min(attempt, 4));
    }
  }
}

/** The result of one read of the log above a revision. */
export interface Look {
  slots: Map<number, Item>;
  /** Above this revision the read may have missed slots. */
  horizon: number;
}

/** Reads the slots above `after` in all shards that may hold some, about `limit` of them. */
export async function lookAfter(
  context: Context,
  type: string,
  after: number,
  head: Pick<Head, "shards">,
  limit: number,
): Promise<Look> {
  const { tables, dynamo } = context;
  const later = head.shards.filter(
    (_, index) => (head.shards[index + 1]?.from ?? Number.POSITIVE_INFINITY) > after + 1,
  );
  const count = Math.max(...later.map((each) => each.count));
  const each = Number.isFinite(limit) ? Math.ceil(limit / count) + 1 : undefined;
  const slots = new Map<number, Item>();
  let horizon = Number.POSITIVE_INFINITY;
  const queries = Array.from({ length: count }, async (_, shard) => {
    const answer = await queryAll(
      context,
      {
        TableName: tables.changes,
        ConsistentRead: true,
        KeyConditionExpression: "p = :p AND r > :after",
        ExpressionAttributeValues: { ":p": { S: `${type}#${shard}` }, ":after": { N: String(after) } },
        ...(each === undefined ? {} : { Limit: each }),
      },
      dynamo,
    );
    for (const slot of answer.items) slots.set(revisionOf(slot), slot);
    if (answer.isCut) horizon = Math.min(horizon, answer.items.length === 0 ? after : revisionOf(answer.items.at(-1)!));
  });
  await Promise.all(queries);
  return { slots, horizon };
}

/** One page of a query; empty pages are skipped. */
async function queryAll(context: Context, input: Parameters<Dynamo["query"]>[0], dynamo: Dynamo) {
  let start: Item | undefined;
  for (;;) {
    const answer = await persist(context, () => dynamo.query(start ? { ...input, ExclusiveStartKey: start } : input));
    start = answer.LastEvaluatedKey;
    const items = answer.Items ?? [];
    if (items.length > 0 || !start) return { items, isCut: start !== undefined };
  }
}

/** The slot of one revision, read consistently. */
export async function readSlot(
  context: Context,
  type: string,
  shards: Sharding[],
  revision: number,
): Promise<Item | undefined> {
  const { tables, dynamo } = context;
  const Key = { p: { S: slotPartition(type, shards, revision) }, r: { N: String(revision) } };
  const answer = await persist(context, () => dynamo.get({ TableName: tables.changes, Key, ConsistentRead: true }));
  return answer.Item;
}
