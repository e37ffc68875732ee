import type { CancellationReason, TransactWriteItem } from "@aws-sdk/client-dynamodb";
import { internalError, tooManyRequests } from "#base";
import { type Commit, Conflict, checkWrites, type Entry, Exists, refusal, type Write } from "#store";
import { type Packed, pack as packBody, partCount, partKey, partsOf } from "./bodies.ts";
import { failureOf, type Item } from "./client.ts";
import { type Context, nonceOf, pause } from "./context.ts";
import { drawTickets, type Head, objectPartition, slotPartition } from "./head.ts";
import {
  type Before,
  changeItem,
  entryOf,
  expiry,
  isTombstone,
  keepsPrevious,
  objectItem,
  revisionOf,
  tombstone,
  type Written,
} from "./items.ts";
import { packs } from "./packs.ts";
import { mostTickets, times } from "./rules.ts";
import { fillSlot } from "./slots.ts";

/** A write on its way, with the ticket that it has now. */
interface Pending {
  write: Write;
  /** Its place in the commit. */
  place: number;
  before: Before | undefined;
  ticket: number;
  drawnAt: number;
  tickets: number;
  nonce: string;
  entry: Entry;
  packed: Packed;
  items: TransactWriteItem[];
}

interface Job {
  context: Context;
  type: string;
  head: Head;
  results: (Commit | undefined)[];
}

/** What the tables hold for the keys of a commit, read consistently. */
export type ReadItems = (keys: string[]) => Promise<Map<string, Item>>;

/**
 * Makes the writes of one commit. Throws 429 when some could not be made in time; the error's `results` then holds
 * what became of the others, and none of those without a result is in the log.
 */
export async function commitWrites(context: Context, type: string, writes: Write[], read: ReadItems) {
  checkWrites(writes);
  const results: (Commit | undefined)[] = writes.map(() => undefined);
  const wanted: Pick<Pending, "write" | "place" | "before">[] = [];
  const items = await read(writes.filter((write) => write.type !== "create").map((write) => write.key));
  for (const [place, write] of writes.entries()) {
    const item = items.get(write.key);
    const entry = item && (await entryOf(context, type, item));
    const refused = write.type === "create" ? undefined : refusal(write, entry);
    if (refused) results[place] = refused;
    else wanted.push({ write, place, before: item && entry ? { item, entry } : undefined });
  }
  if (wanted.length === 0) return { results: results as Commit[], head: undefined };
  const drawn = await drawTickets(context, type, wanted.length);
  const job: Job = { context, type, head: drawn.head, results };
  const tickets = wanted.map((_, index) => drawn.first + index);
  let pending: Pending[];
  try {
    pending = wanted.map((each, index) => prepare(job, { ...each, tickets: 1 }, tickets[index]!, drawn.at));
  } catch (error) {
    // A body that cannot be made: the tickets are given back before anybody waits for them.
    await Promise.all(
      tickets.map((ticket) => fillSlot(context, type, drawn.head.shards, ticket, drawn.at + times.readable)),
    );
    throw error;
  }
  const exhausted: Pending[] = [];
  for (const pack of packs(pending)) exhausted.push(...(await settle(job, pack)));
  if (exhausted.length > 0)
    throw Object.assign(tooManyRequests("the store is too busy, please try again later", 1), { results });
  return { results: results as Commit[], head: drawn.head };
}

/** Makes what a write puts into the tables under a ticket. */
function prepare(
  { context, type, head }: Job,
  each: Pick<Pending, "write" | "place" | "before" | "tickets">,
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
  const change = changeItem(slot, write.type, nonce, before, carries);
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

/** New parts are put where nothing is; those of the state before go when this change does. */
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

type Sent =
  | { kind: "made" }
  | { kind: "again" }
  | { kind: "unknown" }
  | { kind: "cancelled"; reasons: CancellationReason[] };

async function send({ dynamo, rules }: Context, pack: Pending[], token: string): Promise<Sent> {
  try {
    await dynamo.transact({
      TransactItems: pack.flatMap((each) => each.items),
      ...(rules.token ? { ClientRequestToken: token } : {}),
    });
    return { kind: "made" };
  } catch (error) {
    const failure = failureOf(error);
    if (failure.kind === "refused" || failure.kind === "condition") throw error;
    return failure;
  }
}

/** Sends a pack until each of its writes is decided. Returns those whose tickets have run out. */
async function settle(job: Job, all: Pending[]): Promise<Pending[]> {
  const { context } = job;
  const { clock, rules } = context;
  const exhausted: Pending[] = [];
  const renewed = async (given: Pending[]) => {
    const { fresh, spent } = await renew(job, given);
    exhausted.push(...spent);
    return fresh;
  };
  const age = (each: Pending) => clock.now() - each.drawnAt;
  let pack = all;
  let token = nonceOf(context);
  for (let tries = 0; pack.length > 0; tries++) {
    const late = rules.ticketLife ? pack.filter((each) => age(each) > times.ticketLife) : [];
    if (late.length > 0) {
      const kept = pack.filter((each) => !late.includes(each));
      pack = inOrder([...kept, ...(await renewed(await givenUp(job, late, rules.slotFirst)))]);
      token = nonceOf(context);
      continue;
    }
    const sent = await send(context, pack, token);
    if (sent.kind === "made") {
      for (const each of pack) job.results[each.place] = each.entry;
      break;
    }
    if (sent.kind === "unknown") {
      const open = rules.slotDecides ? await givenUp(job, pack, true) : pack;
      pack = inOrder(await renewed(open));
      token = nonceOf(context);
      continue;
    }
    const invalid = sent.kind === "cancelled" ? sent.reasons.find(({ Code }) => Code === "ValidationError") : undefined;
    if (invalid) {
      await givenUp(job, pack, true);
      throw internalError(`the tables refuse an item: ${invalid.Message}`);
    }
    const { survivors, again } =
      sent.kind === "again" ? { survivors: pack, again: [] } : await sift(job, pack, sent.reasons);
    const isSame = survivors.length === pack.length && again.length === 0;
    const isBlocked = isSame || sent.kind === "again" || sent.reasons.some(isNoAnswer);
    const spent = isBlocked ? survivors.filter((each) => age(each) > times.ticketTries) : [];
    const kept = survivors.filter((each) => !spent.includes(each));
    pack = inOrder([...kept, ...(await renewed([...again, ...(await givenUp(job, spent, rules.slotFirst))]))]);
    if (!isSame || spent.length > 0) token = nonceOf(context);
    if (isBlocked && pack.length > 0) await pause(context, Math.min(tries, 3));
  }
  return exhausted;
}

const inOrder = (pack: Pending[]): Pending[] => pack.sort((a, b) => a.ticket - b.ticket);

const isNoAnswer = ({ Code }: CancellationReason): boolean =>
  Code !== undefined && Code !== "None" && Code !== "ConditionalCheckFailed";

/** Goes through the reasons of a cancelled transaction: who is decided, who goes again, who needs another ticket. */
async function sift(job: Job, pack: Pending[], reasons: CancellationReason[]) {
  const { rules } = job.context;
  const survivors: Pending[] = [];
  const again: Pending[] = [];
  let from = 0;
  for (const each of pack) {
    const [object, slot] = reasons.slice(from, from + 2);
    from += each.items.length;
    const hasFailed = (reason?: CancellationReason) => reason?.Code === "ConditionalCheckFailed";
    const inSlot = hasFailed(slot) ? slot?.Item : undefined;
    if (!rules.conflictIsNoAnswer && [object, slot].some((reason) => reason && isNoAnswer(reason))) {
      job.results[each.place] = new Conflict(each.write.key, undefined);
    } else if (rules.slotFirst && inSlot?.["x"]?.S === each.nonce) job.results[each.place] = each.entry;
    else if (hasFailed(object)) await answer(job, each, object?.Item, again);
    else if (hasFailed(slot)) again.push(each);
    else survivors.push(each);
  }
  return { survivors, again };
}

/** The object was not as expected: unless the slot says that this very write made it so, that is the answer. */
async function answer(job: Job, each: Pending, found: Item | undefined, again: Pending[]): Promise<void> {
  const { context, type } = job;
  const { rules } = context;
  const open = rules.voidGivenUp ? await givenUp(job, [each], rules.slotFirst) : [each];
  if (open.length === 0) return;
  const { write } = each;
  const isOvertaken = found !== undefined && revisionOf(found) >= each.ticket;
  const isFree = !found || isTombstone(found);
  if (write.type === "create" ? isFree : found && isOvertaken && revisionOf(found) === write.expected) {
    // A higher revision was there already: the ticket is too low, the write itself may be right.
    again.push(each);
    return;
  }
  const entry = found && (await entryOf(context, type, found));
  job.results[each.place] = write.type === "create" && entry ? new Exists(entry) : new Conflict(write.key, entry);
}

/**
 * Settles the slots of writes whose outcome is open. Those that turn out to be made get their result, unless what the
 * slots say is not believed.
 */
async function givenUp(job: Job, open: Pending[], believes: boolean): Promise<Pending[]> {
  const { context, type, head, results } = job;
  const failed: Pending[] = [];
  for (const each of open) {
    const found = await fillSlot(context, type, head.shards, each.ticket, each.drawnAt + times.readable);
    if (believes && found?.["x"]?.S === each.nonce) results[each.place] = each.entry;
    else failed.push(each);
  }
  return failed;
}

/** New tickets for writes whose old slots can no longer be theirs. */
async function renew(job: Job, open: Pending[]): Promise<{ fresh: Pending[]; spent: Pending[] }> {
  const spent = open.filter((each) => each.tickets >= mostTickets);
  const going = open.filter((each) => each.tickets < mostTickets);
  if (going.length === 0) return { fresh: [], spent };
  const drawn = await drawTickets(job.context, job.type, going.length);
  job.head = drawn.head;
  const fresh = going.map((each, index) =>
    prepare(job, { ...each, tickets: each.tickets + 1 }, drawn.first + index, drawn.at),
  );
  return { fresh, spent };
}
