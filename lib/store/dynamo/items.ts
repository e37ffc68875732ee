import type { Change, Entry, Index } from "#store";
import { bodyAttributes, bodyOf, indexAttribute, indexOf, type Packed, partCount } from "./bodies.ts";
import type { Item } from "./client.ts";
import type { Context } from "./context.ts";
import { times } from "./rules.ts";

/** The state before a write, as far as the new items need it. */
export interface Before {
  item: Item;
  entry: Entry;
}

const verbs = { c: "create", u: "update", d: "delete" } as const;

export const number = (item: Item, name: string): number => Number(item[name]?.N ?? 0);

/** The type of a slot's log. */
export function typeOfSlot(slot: Item): string | undefined {
  const partition = slot["p"]?.S;
  const end = partition?.lastIndexOf("#") ?? -1;
  return end > 0 ? partition!.slice(0, end) : undefined;
}

export const revisionOf = (item: Item): number => number(item, "r");

export const isTombstone = (item: Item): boolean => item["d"] !== undefined;

export const isVoid = (slot: Item): boolean => slot["v"]?.S === "x";

/** The second from which an item that was written at `now` (milliseconds) may expire. */
export const expiry = (now: number): number => Math.ceil((now + times.life) / 1000);

export interface Written {
  type: string;
  partition: string;
  key: string;
  revision: number;
  at: number;
  schema: string;
  index: Index;
  packed: Packed;
}

/** The item of an object in `objects`. */
export const objectItem = ({ partition, key, revision, at, schema, index, packed }: Written): Item => ({
  p: { S: partition },
  k: { S: key },
  r: { N: String(revision) },
  t: { N: String(at) },
  s: { S: schema },
  i: indexAttribute(index),
  ...bodyAttributes(packed),
});

/** The tombstone of a delete: its revision, which refuses late writes with lower ones. It expires with its change. */
export const tombstone = ({ partition, key, revision, at }: Written): Item => ({
  p: { S: partition },
  k: { S: key },
  r: { N: String(revision) },
  t: { N: String(at) },
  d: { BOOL: true },
  e: { N: String(expiry(at)) },
});

/**
 * A slot of the log. `before` is the state that the change replaced; its body is part of the slot when the log may lose
 * it too early.
 */
export function changeItem(
  { partition, key, revision, at, schema, index, packed }: Written,
  verb: Change["type"],
  nonce: string,
  before: Before | undefined,
  { carries, hops }: { carries: boolean; hops: number },
): Item {
  return {
    p: { S: partition },
    r: { N: String(revision) },
    v: { S: verb[0]! },
    k: { S: key },
    x: { S: nonce },
    t: { N: String(at) },
    e: { N: String(expiry(at)) },
    w: { N: String(hops) },
    s: { S: schema },
    i: indexAttribute(index),
    ...bodyAttributes(packed),
    ...(before ? previousAttributes(before, carries) : {}),
  };
}

function previousAttributes({ item, entry }: Before, carries: boolean): Item {
  const carried: Item = {};
  for (const name of ["b", "z", "n"]) {
    // Parts live as long as this change, so naming them is enough.
    const isWanted = name === "n" || carries || item["n"] !== undefined;
    if (isWanted && item[name]) carried[`q${name}`] = item[name];
  }
  return { q: { N: String(entry.revision) }, qs: { S: entry.schema }, qi: item["i"]!, ...carried };
}

export const voidItem = (partition: string, revision: number, at: number): Item => ({
  p: { S: partition },
  r: { N: String(revision) },
  v: { S: "x" },
  t: { N: String(at) },
  e: { N: String(expiry(at)) },
});

/** Whether the log holds the state before for as long as the change that replaces it is read. */
export const keepsPrevious = (before: Item, at: number): boolean => at - number(before, "t") < times.carried;

/** The live object in an item; undefined for a tombstone, or when its parts are gone. */
export async function entryOf(context: Context, type: string, item: Item): Promise<Entry | undefined> {
  if (isTombstone(item)) return undefined;
  const revision = revisionOf(item);
  const body = await bodyOf(context, type, revision, item);
  return body && { key: item["k"]!.S!, revision, body, schema: item["s"]!.S!, index: indexOf(item["i"]) };
}

/**
 * The change in a slot that is no void. The state before is in the slot or read by `find` from the slot of another
 * revision. Undefined when a part of it is gone.
 */
export async function changeOf(
  context: Context,
  type: string,
  slot: Item,
  find: (revision: number) => Promise<Item | undefined>,
): Promise<Change | undefined> {
  const entry = await entryOf(context, type, slot);
  if (!entry) return undefined;
  const { revision, key } = entry;
  const change: Change = { revision, type: verbs[slot["v"]!.S as keyof typeof verbs], key, entry };
  if (!slot["q"]) return change;
  const previous = await previousOf(context, type, slot, find);
  return previous && { ...change, previous };
}

async function previousOf(
  context: Context,
  type: string,
  slot: Item,
  find: (revision: number) => Promise<Item | undefined>,
): Promise<Entry | undefined> {
  const revision = number(slot, "q");
  const isHere = slot["qb"] !== undefined || partCount(slot, "q") > 0;
  const source = isHere ? slot : await find(revision);
  const body = source && (await bodyOf(context, type, revision, source, isHere ? "q" : ""));
  if (!body) return undefined;
  return { key: slot["k"]!.S!, revision, body, schema: slot["qs"]!.S!, index: indexOf(slot["qi"]) };
}
