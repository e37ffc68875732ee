import type { UpdateItemInput } from "@aws-sdk/client-dynamodb";
import { failureOf, type Item } from "./client.ts";
import { type Context, persist } from "./context.ts";
import { number } from "./items.ts";
import { times } from "./rules.ts";

/** The number of shards of a log from a revision on. */
export interface Sharding {
  from: number;
  count: number;
}

/** The head of a type's log. */
export interface Head {
  /** The last revision that a writer has drawn. */
  counter: number;
  /** When it was drawn. */
  drawnAt: number;
  /** When the type's first revision was drawn; 0 before. */
  bornAt: number;
  floor: number;
  shards: Sharding[];
  /** The number of partitions of the objects, which never changes. */
  objectShards: number;
  /**
   * Every revision up to it is settled: its slot was filled, or no writer can fill it any more. Known since
   * `settledAt`. Lists start their replay there, and a missing slot below it has expired.
   */
  settledThrough: number;
  settledAt: number;
  /** The value before, for lists, which need one that is a little older. */
  previousSettledThrough: number;
}

const counterKey = (type: string): Item => ({ p: { S: `type#${type}` }, k: { S: "counter" } });
const floorKey = (type: string): Item => ({ p: { S: `type#${type}` }, k: { S: "floor" } });

export const shardAt = (shards: Sharding[], revision: number): number => {
  const holds = shards.findLast((each) => each.from <= revision) ?? shards[0]!;
  return revision % holds.count;
};

/** The partition of a revision's slot. */
export const slotPartition = (type: string, shards: Sharding[], revision: number): string =>
  `${type}#${shardAt(shards, revision)}`;

/** The partition of an object: FNV-1a over the UTF-16 units of its key. It must never change. */
export function objectPartition(type: string, objectShards: number, key: string): string {
  let hash = 0x811c9dc5;
  for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193) >>> 0;
  return `${type}#${hash % objectShards}`;
}

function headOf(context: Context, type: string, counter: Item | undefined, floor: Item | undefined): Head {
  const floorAt = Number(floor?.["f"]?.N ?? 0);
  const born = context.shards(type);
  if (!counter)
    return {
      counter: Math.max(1, floorAt),
      drawnAt: 0,
      bornAt: 0,
      floor: floorAt,
      shards: [{ from: 1, count: born }],
      objectShards: born,
      settledThrough: 1,
      settledAt: 0,
      previousSettledThrough: 1,
    };
  const shards = JSON.parse(counter["s"]!.S!) as Sharding[];
  return {
    // The two items are not read at one instant: a floor that was raised in between is a lower bound of the counter.
    counter: Math.max(Number(counter["c"]!.N), floorAt),
    drawnAt: Number(counter["t"]!.N),
    bornAt: Number(counter["bt"]!.N),
    floor: floorAt,
    shards: context.rules.shardsHoldFrom ? shards : [{ from: 1, count: shards.at(-1)!.count }],
    objectShards: Number(counter["o"]!.N),
    settledThrough: Number(counter["m"]!.N),
    settledAt: Number(counter["mt"]!.N),
    previousSettledThrough: Number(counter["om"]!.N),
  };
}

/** Reads counter, shards, settled revision and floor, consistently. */
export async function readHead(context: Context, type: string): Promise<Head> {
  const table = context.tables.objects;
  let keys: Item[] = [counterKey(type), floorKey(type)];
  const found: Item[] = [];
  while (keys.length > 0) {
    const answer = await persist(context, () =>
      context.dynamo.batchGet({ RequestItems: { [table]: { Keys: keys, ConsistentRead: true } } }),
    );
    found.push(...(answer.Responses?.[table] ?? []));
    keys = (answer.UnprocessedKeys?.[table]?.Keys ?? []) as Item[];
  }
  const item = (name: string) => found.find((each) => each["k"]?.S === name);
  return headOf(context, type, item("counter"), item("floor"));
}

/** Reads the counter alone, consistently, at half the price. */
export async function readCounter(context: Context, type: string): Promise<number> {
  const { dynamo, tables } = context;
  const input = { TableName: tables.objects, Key: counterKey(type), ConsistentRead: true };
  const { Item } = await persist(context, () => dynamo.get(input));
  return Item ? number(Item, "c") : 1;
}

/** Revisions that belong to one writer: `first` and the `count - 1` that follow. */
export interface Drawn {
  first: number;
  head: Head;
  /** When they were requested: their age counts from here. */
  at: number;
}

/**
 * The time of a draw, rounded up so that writers with slightly different clocks write the same. The counter's time
 * never falls: no younger ticket can be in flight.
 */
const drawTime = (at: number): number => Math.ceil(at / times.drawGrid) * times.drawGrid;

/**
 * Draws tickets. Where the last one is so old that no request with it can be in flight, `settledThrough` is raised to
 * it in the same update.
 */
export async function drawTickets(context: Context, type: string, count: number): Promise<Drawn> {
  const { clock, tables, dynamo } = context;
  let old: Item | undefined;
  let isUsual = true;
  for (;;) {
    try {
      return await persist(context, async () => {
        const at = clock.now();
        const draw = isUsual
          ? usualDraw(count, at)
          : old
            ? exactDraw(count, at, old)
            : firstDraw(context, type, count, at);
        const answer = await dynamo.update({
          TableName: tables.objects,
          Key: counterKey(type),
          ReturnValues: "ALL_NEW",
          ...draw,
        });
        const head = headOf(context, type, answer.Attributes, undefined);
        return { first: head.counter - count + 1, head, at };
      });
    } catch (error) {
      const failure = failureOf(error);
      if (failure.kind !== "condition") throw error;
      isUsual = !isUsual;
      old = failure.item;
    }
  }
}

const usualDraw = (count: number, at: number): Partial<UpdateItemInput> => ({
  UpdateExpression: "SET c = c + :n, t = :now",
  ConditionExpression: "t BETWEEN :fresh AND :now",
  ExpressionAttributeValues: {
    ":n": { N: String(count) },
    ":now": { N: String(drawTime(at)) },
    ":fresh": { N: String(at - times.latest) },
  },
  ReturnValuesOnConditionCheckFailure: "ALL_OLD",
});

function firstDraw(context: Context, type: string, count: number, at: number): Partial<UpdateItemInput> {
  const born = context.shards(type);
  return {
    UpdateExpression: "SET c = :c, t = :now, bt = :at, s = :shards, o = :born, m = :one, mt = :at, om = :one",
    ConditionExpression: "attribute_not_exists(p)",
    ExpressionAttributeValues: {
      ":c": { N: String(1 + count) },
      ":now": { N: String(drawTime(at)) },
      ":at": { N: String(at) },
      ":shards": { S: JSON.stringify([{ from: 1, count: born }]) },
      ":born": { N: String(born) },
      ":one": { N: "1" },
    },
  };
}

/**
 * A draw after a pause of the counter, or with a counter whose time is ahead of this clock. Requests with tickets from
 * before the pause have arrived or are lost.
 */
function exactDraw(count: number, at: number, old: Item): Partial<UpdateItemInput> {
  const drawnAt = number(old, "t");
  const hasRested = at - drawnAt > times.latest;
  return {
    UpdateExpression: `SET c = :c + :n, t = :now${hasRested ? ", m = :c, mt = :at, om = :c" : ""}`,
    ConditionExpression: "c = :c AND t = :t",
    ExpressionAttributeValues: {
      ":n": { N: String(count) },
      ":now": { N: String(Math.max(drawTime(at), drawnAt)) },
      ":c": old["c"]!,
      ":t": old["t"]!,
      ...(hasRested ? { ":at": { N: String(at - times.latest / 3) } } : {}),
    },
  };
}

/**
 * Records that everything up to `revision` was settled at `at`. Never lowers the value, and keeps it for a while, so
 * that one of the last two is always old enough for a list.
 */
export async function raiseSettled(context: Context, type: string, revision: number, at: number): Promise<void> {
  await unlessFailed(
    persist(context, () =>
      context.dynamo.update({
        TableName: context.tables.objects,
        Key: counterKey(type),
        UpdateExpression: "SET om = m, m = :m, mt = :at",
        ConditionExpression: "attribute_exists(p) AND m <= :m AND mt < :old",
        ExpressionAttributeValues: {
          ":m": { N: String(revision) },
          ":at": { N: String(at) },
          ":old": { N: String(at - 2 * times.overlap) },
        },
      }),
    ),
  );
}

/** Raises the floor. Never lowers it. */
export async function raiseFloor(context: Context, type: string, floor: number): Promise<void> {
  await unlessFailed(
    persist(context, () =>
      context.dynamo.update({
        TableName: context.tables.objects,
        Key: floorKey(type),
        UpdateExpression: "SET f = :f",
        ConditionExpression: "attribute_not_exists(p) OR f < :f",
        ExpressionAttributeValues: { ":f": { N: String(floor) } },
      }),
    ),
  );
}

/**
 * Spreads the log over another number of shards from the next revision on. Tickets and shards come from one item, so
 * that no ticket is written with the wrong number.
 */
export async function setShards(context: Context, type: string, count: number): Promise<void> {
  for (;;) {
    const head = await readHead(context, type);
    const shards = [...head.shards, { from: head.counter + 1, count }];
    const done = await unlessFailed(
      persist(context, () =>
        context.dynamo.update({
          TableName: context.tables.objects,
          Key: counterKey(type),
          UpdateExpression: "SET s = :s",
          ConditionExpression: "c = :c",
          ExpressionAttributeValues: { ":s": { S: JSON.stringify(shards) }, ":c": { N: String(head.counter) } },
        }),
      ),
    );
    if (done) return;
    await drawTickets(context, type, 1);
  }
}

/** Raises the counter above every revision that a restored table may have lost, and `settledThrough` with it. */
export async function setCounter(context: Context, type: string, from: number, to: number): Promise<void> {
  const now = String(context.clock.now());
  await persist(context, () =>
    context.dynamo.update({
      TableName: context.tables.objects,
      Key: counterKey(type),
      UpdateExpression: "SET c = :to, t = :now, m = :to, mt = :now, om = :to",
      ConditionExpression: "c = :from OR c = :to",
      ExpressionAttributeValues: { ":to": { N: String(to) }, ":from": { N: String(from) }, ":now": { N: now } },
    }),
  );
}

async function unlessFailed(update: Promise<unknown>): Promise<boolean> {
  try {
    await update;
    return true;
  } catch (error) {
    if (failureOf(error).kind !== "condition") throw error;
    return false;
  }
}
