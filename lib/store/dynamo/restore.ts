import { partKey } from "./bodies.ts";
import { failureOf, type Item } from "./client.ts";
import { type Context, persist } from "./context.ts";
import { type Head, objectPartition, raiseFloor, readHead, setCounter } from "./head.ts";
import { expiry, isVoid, number, revisionOf } from "./items.ts";
import { lookAfter } from "./slots.ts";

/** By how much revisions jump: more than any cluster writes between a backup and its loss. */
const jump = 2 ** 20;
const pageOfLog = 1000;

/** The result of a restore for one type. */
export interface Restored {
  type: string;
  /** The revision from which the type continues; requests with an earlier one fail with Compacted. */
  revision: number;
  objects: number;
  /** Keys whose object was behind the log and was updated from it. */
  repaired: string[];
  /** Keys whose newest state is incomplete in the log: their objects stay unchanged. */
  lost: string[];
}

/** The position of a type's log. */
export interface LogPosition {
  type: string;
  /** The last revision that a writer has drawn. */
  revision: number;
  /** When it was drawn, in milliseconds since the epoch, rounded up by up to ten seconds. */
  drawnAt: number;
}

/** Restores all types. May run again after an interruption: revisions then jump once more. */
export async function restoreTypes(context: Context): Promise<Restored[]> {
  const restored: Restored[] = [];
  for (const { type } of await positionsOf(context)) restored.push(await restoreType(context, type));
  return restored;
}

/** All types that have ever been written, by name. */
export async function positionsOf(context: Context): Promise<LogPosition[]> {
  const positions: LogPosition[] = [];
  await eachPage(
    (start) =>
      context.dynamo.scan({
        TableName: context.tables.objects,
        ConsistentRead: true,
        FilterExpression: "begins_with(p, :prefix) AND k = :counter",
        ExpressionAttributeValues: { ":prefix": { S: "type#" }, ":counter": { S: "counter" } },
        ...start,
      }),
    (item) =>
      positions.push({
        type: item["p"]!.S!.slice("type#".length),
        revision: number(item, "c"),
        drawnAt: number(item, "t"),
      }),
    context,
  );
  return positions.sort((a, b) => (a.type < b.type ? -1 : 1));
}

async function restoreType(context: Context, type: string): Promise<Restored> {
  const head = await readHead(context, type);
  const objects = await revisionsOf(context, type, head);
  const log = await newestSlots(context, type, head);
  const repaired: string[] = [];
  const lost: string[] = [];
  for (const [key, slot] of log.byKey) {
    if ((objects.get(key) ?? 0) >= revisionOf(slot)) continue;
    const isWhole = await repair(context, type, head, slot);
    (isWhole ? repaired : lost).push(key);
  }
  const last = Math.max(head.counter, head.floor, log.last, ...objects.values());
  const revision = last + jump;
  // The floor is written last: until it is stored, a second run finds the same state as the first.
  await setCounter(context, type, head.counter, revision);
  await raiseFloor(context, type, revision);
  return { type, revision, objects: objects.size, repaired: repaired.sort(), lost: lost.sort() };
}

/** The revision of each key, including tombstones. */
async function revisionsOf(context: Context, type: string, head: Head): Promise<Map<string, number>> {
  const revisions = new Map<string, number>();
  for (let shard = 0; shard < head.objectShards; shard++)
    await eachPage(
      (start) =>
        context.dynamo.query({
          TableName: context.tables.objects,
          ConsistentRead: true,
          KeyConditionExpression: "p = :p",
          ExpressionAttributeValues: { ":p": { S: `${type}#${shard}` } },
          ProjectionExpression: "p, k, r",
          ...start,
        }),
      (item) => revisions.set(item["k"]!.S!, revisionOf(item)),
      context,
    );
  return revisions;
}

/** The newest change of each key in the log, and the highest revision in it. Holes do not matter here. */
async function newestSlots(context: Context, type: string, head: Head) {
  const byKey = new Map<string, Item>();
  let last = 0;
  for (let after = head.floor; ; ) {
    const { slots, horizon } = await lookAfter(context, type, after, head, pageOfLog);
    const read = [...slots].filter(([revision]) => revision <= horizon).sort(([a], [b]) => a - b);
    for (const [revision, slot] of read) {
      last = revision;
      if (!isVoid(slot)) byKey.set(slot["k"]!.S!, slot);
    }
    if (!Number.isFinite(horizon)) return { byKey, last };
    after = Math.max(after + 1, horizon);
  }
}

/** Updates the object to the state of the change. False when the change's body is incomplete. */
async function repair(context: Context, type: string, head: Head, slot: Item): Promise<boolean> {
  const { dynamo, tables, clock } = context;
  const key = slot["k"]!.S!;
  const revision = revisionOf(slot);
  const isDelete = slot["v"]!.S === "d";
  if (!isDelete && !(await hasParts(context, type, slot))) return false;
  const Item: Item = { p: { S: objectPartition(type, head.objectShards, key) } };
  for (const name of isDelete ? ["k", "r", "t"] : ["k", "r", "t", "s", "i", "b", "z", "n"])
    if (slot[name]) Item[name] = slot[name];
  if (isDelete) Object.assign(Item, { d: { BOOL: true }, e: { N: String(expiry(clock.now())) } });
  try {
    await persist(context, () =>
      dynamo.put({
        TableName: tables.objects,
        Item,
        ConditionExpression: "attribute_not_exists(p) OR r < :r",
        ExpressionAttributeValues: { ":r": { N: String(revision) } },
      }),
    );
  } catch (error) {
    // A repeated request: the first one has succeeded.
    if (failureOf(error).kind !== "condition") throw error;
  }
  return true;
}

async function hasParts({ dynamo, tables, ...context }: Context, type: string, slot: Item): Promise<boolean> {
  for (let part = 0; part < number(slot, "n"); part++) {
    const Key = partKey(type, revisionOf(slot), part);
    const read = () => dynamo.get({ TableName: tables.objects, Key, ConsistentRead: true });
    if (!(await persist({ dynamo, tables, ...context }, read)).Item) return false;
  }
  return true;
}

interface PageOfItems {
  Items?: Item[] | undefined;
  LastEvaluatedKey?: Item | undefined;
}

async function eachPage(
  read: (start: { ExclusiveStartKey?: Item }) => Promise<PageOfItems>,
  take: (item: Item) => void,
  context: Context,
): Promise<void> {
  let next: Item | undefined;
  do {
    const start = next ? { ExclusiveStartKey: next } : {};
    const page = await persist(context, () => read(start));
    for (const item of page.Items ?? []) take(item);
    next = page.LastEvaluatedKey;
  } while (next);
}
