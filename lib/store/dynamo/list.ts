import { Compacted, compareKeys, type Entry, FutureRevision, type ListOptions, type Page, rangeOf } from "#store";
import type { Item } from "./client.ts";
import { type Context, persist } from "./context.ts";
import { readHead } from "./head.ts";
import { changeOf, entryOf, isTombstone, isVoid, number, revisionOf } from "./items.ts";
import { type Memory, readRun } from "./read.ts";
import { times } from "./rules.ts";
import { readSlot } from "./slots.ts";
import { bound } from "./sort-key.ts";

/** A key that is longer than any: the upper bound of a prefix. */
const lastKey = "\u{10ffff}";

/**
 * One exact snapshot: the objects as they are read, corrected by the log from some time before the first read up to a
 * head that was read after the last. A query may show half of a transaction; the log has the other half.
 */
export async function listObjects(context: Context, type: string, memory: Memory, options: ListOptions): Promise<Page> {
  const { clock, rules } = context;
  const { at } = options;
  const startedAt = clock.now();
  const head = await readHead(context, type);
  memory.head = head;
  if (at !== undefined && at > head.counter) throw new FutureRevision(at, head.counter);
  const settled = rules.overlap ? settledBefore(memory, head, startedAt) : head.counter;
  const from = at === undefined ? settled : Math.min(at, settled);
  const { limit, start, end } = rangeOf(options);
  const scan = scanner(context, type, head.objectShards, start, end);
  // Some of the objects may be deleted in the snapshot: read until the page is full or nothing is left.
  for (let wanted = limit + 1; ; wanted += limit) {
    const { items, horizon } = await scan(wanted);
    const seen = items.reduce((most, item) => Math.max(most, revisionOf(item)), from);
    const until = rules.toHead ? Math.max(seen, (await readHead(context, type)).counter) : seen;
    const run = await readRun(context, type, memory, from, { until, settledAreKnown: from >= settled });
    const revision = at ?? run.through;
    const state = stateAt(items, run.slots, revision);
    const inside = (key: string) =>
      compareKeys(key, start) >= 0 && (horizon === undefined ? isBefore(key, end) : compareKeys(key, horizon) <= 0);
    const keys = [...state.keys()].filter(inside).sort(compareKeys);
    // A list that was interrupted for so long no longer knows the state at its start.
    if (rules.slotsExpire && clock.now() - startedAt > times.latest) return listObjects(context, type, memory, options);
    if (horizon !== undefined && keys.length <= limit) continue;
    const wantedKeys = keys.slice(0, Math.min(limit, keys.length));
    const entries = await Promise.all(
      wantedKeys.map((key) => materialize(context, type, state.get(key)!, head.shards)),
    );
    if (at !== undefined) await checkFloor(context, type, at);
    const more = keys.length > wantedKeys.length || horizon !== undefined;
    const whole = entries.map((entry) => {
      if (!entry) throw new Compacted(revision, run.through);
      return entry;
    });
    return { revision, entries: whole, more, ...(more ? {} : { remaining: 0 }) };
  }
}

const isBefore = (key: string, end: string | undefined): boolean => end === undefined || compareKeys(key, end) < 0;

async function checkFloor(context: Context, type: string, at: number): Promise<void> {
  const { floor } = await readHead(context, type);
  if (at < floor) throw new Compacted(at, floor);
}

/** A revision up to which every transaction had been settled when the list began. */
function settledBefore(memory: Memory, head: Awaited<ReturnType<typeof readHead>>, startedAt: number): number {
  const before = startedAt - times.overlap;
  // The last ticket is so old that no request with it can arrive any more.
  if (startedAt - head.drawnAt > times.latest) return head.counter;
  let settled = head.settledAt <= before ? head.settledThrough : head.previousSettledThrough;
  for (const { revision, at } of memory.wholeThrough) if (at <= before) settled = Math.max(settled, revision);
  return settled;
}

/** Where the state of a key is: in an object's item, in a slot, or in the state before of a slot. */
type Source = { item: Item } | { slot: Item } | { before: Item };

/** The keys that exist at `revision`, and where their states are. */
function stateAt(items: Item[], slots: Item[], revision: number): Map<string, Source> {
  const state = new Map<string, Source>();
  for (const item of items) if (!isTombstone(item)) state.set(item["k"]!.S!, { item });
  const passed = new Set<string>();
  for (const slot of slots) {
    if (isVoid(slot)) continue;
    const key = slot["k"]!.S!;
    if (number(slot, "r") <= revision) {
      if (slot["v"]!.S === "d") state.delete(key);
      else state.set(key, { slot });
    } else if (!passed.has(key)) {
      passed.add(key);
      if (slot["q"]) state.set(key, { before: slot });
      else state.delete(key);
    }
  }
  return state;
}

async function materialize(
  context: Context,
  type: string,
  source: Source,
  shards: Parameters<typeof readSlot>[2],
): Promise<Entry | undefined> {
  if ("item" in source) return entryOf(context, type, source.item);
  if ("slot" in source) return entryOf(context, type, source.slot);
  const change = await changeOf(context, type, source.before, (revision) => readSlot(context, type, shards, revision));
  return change?.previous;
}

/** Reads a type's objects in key order over all partitions, continuing after the last one. */
function scanner(context: Context, type: string, partitions: number, start: string, end: string | undefined) {
  const { dynamo, tables } = context;
  const shards = Array.from({ length: partitions }, (_, shard) => ({
    partition: `${type}#${shard}`,
    items: [] as Item[],
    next: undefined as Item | undefined,
    // The earlier page may have ended after the prefix.
    isDone: !isBefore(start, end),
  }));
  const readMore = async (shard: (typeof shards)[number], wanted: number) => {
    while (!shard.isDone && shard.items.filter((item) => !isTombstone(item)).length < wanted) {
      const answer = await persist(context, () =>
        dynamo.query({
          TableName: tables.objects,
          ConsistentRead: true,
          KeyConditionExpression: "p = :p AND k BETWEEN :start AND :end",
          ExpressionAttributeValues: {
            ":p": { S: shard.partition },
            // A key is never empty, and no sort key may be.
            ":start": { S: start === "" ? "\u0000" : bound(start) },
            ":end": { S: end === undefined ? lastKey : bound(end) },
          },
          ...(Number.isFinite(wanted) ? { Limit: wanted } : {}),
          ...(shard.next ? { ExclusiveStartKey: shard.next } : {}),
        }),
      );
      for (const item of answer.Items ?? []) if (isBefore(item["k"]!.S!, end)) shard.items.push(item);
      shard.next = answer.LastEvaluatedKey;
      shard.isDone = shard.next === undefined;
    }
  };
  /**
   * Everything up to the horizon, with at least `wanted` objects unless all were read, in which case there is no
   * horizon.
   */
  return async (wanted: number): Promise<{ items: Item[]; horizon: string | undefined }> => {
    await Promise.all(shards.map((shard) => readMore(shard, wanted)));
    const ends = shards.filter((shard) => !shard.isDone).map((shard) => shard.next!["k"]!.S!);
    if (ends.length === 0) return { items: shards.flatMap((shard) => shard.items), horizon: undefined };
    const horizon = ends.sort(compareKeys)[0]!;
    const items = shards.flatMap((shard) => shard.items).filter((item) => compareKeys(item["k"]!.S!, horizon) <= 0);
    return { items, horizon };
  };
}
