import type { CancellationReason } from "@aws-sdk/client-dynamodb";
import { internalError, tooManyRequests } from "#base";
import { type Change, type Commit, Conflict, checkWrites, Exists, refusal, type Write } from "#store";
import { failureOf, type Item } from "./client.ts";
import { type Context, nonceOf, pause } from "./context.ts";
import { drawTickets } from "./head.ts";
import { entryOf, isTombstone, revisionOf } from "./items.ts";
import { type Committing, type Pending, prepare, type Unprepared } from "./prepare.ts";
import { mostTickets, times } from "./rules.ts";
import { fillSlot } from "./slots.ts";
import { checkKey } from "./sort-key.ts";
import { transactionBatches } from "./transaction-batches.ts";

/** What the tables hold for the keys of a commit, read consistently. */
export type ReadItems = (keys: string[]) => Promise<Map<string, Item>>;

/**
 * Stores the writes of one commit. Throws 413 for a key that is too long, and 429 when some could not be stored in
 * time; the error's `results` then holds the results of the others, and none of those without a result is in the log.
 */
export async function commitWrites(context: Context, type: string, writes: Write[], read: ReadItems) {
  checkWrites(writes);
  for (const { key } of writes) checkKey(key);
  const results: (Commit | undefined)[] = writes.map(() => undefined);
  const candidates: Unprepared[] = [];
  const items = await read(writes.filter((write) => write.type !== "create").map((write) => write.key));
  for (const [position, write] of writes.entries()) {
    const item = items.get(write.key);
    const entry = item && (await entryOf(context, type, item));
    const refused = write.type === "create" ? undefined : refusal(write, entry);
    if (refused) results[position] = refused;
    else candidates.push({ write, position, before: item && entry ? { item, entry } : undefined, tickets: 1 });
  }
  if (candidates.length === 0) return { results: results as Commit[], changes: [], head: undefined };
  const drawn = await drawTickets(context, type, candidates.length);
  const job: Committing = { context, type, head: drawn.head, results, changes: [], top: 0 };
  const tickets = candidates.map((_, index) => drawn.first + index);
  let pending: Pending[];
  try {
    pending = candidates.map((each, index) => prepare(job, each, tickets[index]!, drawn.at));
  } catch (error) {
    // A body could not be encoded: the slots of the tickets are filled, so that no reader waits for them.
    await Promise.all(
      tickets.map((ticket) => fillSlot(context, type, drawn.head.shards, ticket, drawn.at + times.readable)),
    );
    throw error;
  }
  const exhausted: Pending[] = [];
  for (const batch of transactionBatches(pending)) exhausted.push(...(await sendBatch(job, batch)));
  if (exhausted.length > 0)
    throw Object.assign(tooManyRequests("the store is too busy, please try again later", 1), { results });
  return { results: results as Commit[], changes: job.changes, head: drawn.head };
}

type Sent =
  | { kind: "stored" }
  | { kind: "again" }
  | { kind: "unknown" }
  | { kind: "cancelled"; reasons: CancellationReason[] };

async function send({ dynamo, rules }: Context, batch: Pending[], token: string): Promise<Sent> {
  try {
    await dynamo.transact({
      TransactItems: batch.flatMap((each) => each.items),
      ...(rules.token ? { ClientRequestToken: token } : {}),
    });
    return { kind: "stored" };
  } catch (error) {
    const failure = failureOf(error);
    if (failure.kind === "refused" || failure.kind === "condition") throw error;
    return failure;
  }
}

/** Sends a batch until each of its writes is decided. Returns those whose tickets have expired. */
async function sendBatch(job: Committing, all: Pending[]): Promise<Pending[]> {
  const { context } = job;
  const { clock, rules } = context;
  const exhausted: Pending[] = [];
  const age = (each: Pending) => clock.now() - each.drawnAt;
  /**
   * Draws new tickets for the given writes and for those after them, so that the writes of a commit keep their order.
   */
  const renewed = async (kept: Pending[], without: Pending[]): Promise<Pending[]> => {
    if (without.length === 0) return kept;
    const first = Math.min(...without.map((each) => each.position));
    const overtaken = kept.filter((each) => each.position > first);
    const open = [...without, ...(await settleSlots(job, overtaken, rules.slotFirst))];
    const { fresh, spent } = await renew(job, inOrder(open));
    exhausted.push(...spent);
    return [...kept.filter((each) => each.position < first), ...fresh];
  };
  const isLow = (each: Pending) => each.ticket < job.top;
  let batch = all.some(isLow) ? await renewed([], await settleSlots(job, all, rules.slotFirst)) : all;
  let token = nonceOf(context);
  for (let tries = 0; batch.length > 0; tries++) {
    const late = rules.ticketLife ? batch.filter((each) => age(each) > times.ticketLife) : [];
    if (late.length > 0) {
      const kept = batch.filter((each) => !late.includes(each));
      batch = await renewed(kept, await settleSlots(job, late, rules.slotFirst));
      token = nonceOf(context);
      continue;
    }
    const sent = await send(context, batch, token);
    if (sent.kind === "stored") {
      for (const each of batch) recordStored(job, each);
      break;
    }
    if (sent.kind === "unknown") {
      batch = await renewed([], rules.slotDecides ? await settleSlots(job, batch, true) : batch);
      token = nonceOf(context);
      continue;
    }
    const invalid = sent.kind === "cancelled" ? sent.reasons.find(({ Code }) => Code === "ValidationError") : undefined;
    if (invalid) {
      await settleSlots(job, batch, true);
      throw internalError(`the tables refuse an item: ${invalid.Message}`);
    }
    const { survivors, again } =
      sent.kind === "again" ? { survivors: batch, again: [] } : await classifyCancellation(job, batch, sent.reasons);
    const isSame = survivors.length === batch.length && again.length === 0;
    const isBlocked = isSame || sent.kind === "again" || sent.reasons.some(isInconclusive);
    const spent = isBlocked ? survivors.filter((each) => age(each) > times.ticketTries) : [];
    const kept = survivors.filter((each) => !spent.includes(each));
    batch = await renewed(kept, [...again, ...(await settleSlots(job, spent, rules.slotFirst))]);
    if (!isSame || spent.length > 0) token = nonceOf(context);
    if (isBlocked && batch.length > 0) await pause(context, Math.min(tries, 3));
  }
  return exhausted;
}

function recordStored(job: Committing, each: Pending): void {
  const { write, entry, before } = each;
  const change: Change = { revision: entry.revision, type: write.type, key: write.key, entry };
  job.results[each.position] = entry;
  job.changes.push(before ? { ...change, previous: before.entry } : change);
  job.top = Math.max(job.top, each.ticket);
}

const inOrder = (batch: Pending[]): Pending[] => batch.sort((a, b) => a.position - b.position);

const isInconclusive = ({ Code }: CancellationReason): boolean =>
  Code !== undefined && Code !== "None" && Code !== "ConditionalCheckFailed";

/**
 * Classifies the writes of a cancelled transaction by its reasons: decided, to be sent again, or in need of another
 * ticket.
 */
async function classifyCancellation(job: Committing, batch: Pending[], reasons: CancellationReason[]) {
  const { rules } = job.context;
  const survivors: Pending[] = [];
  const again: Pending[] = [];
  let from = 0;
  for (const each of batch) {
    const [object, slot] = reasons.slice(from, from + 2);
    from += each.items.length;
    const hasFailed = (reason?: CancellationReason) => reason?.Code === "ConditionalCheckFailed";
    const inSlot = hasFailed(slot) ? slot?.Item : undefined;
    if (!rules.conflictIsNoAnswer && [object, slot].some((reason) => reason && isInconclusive(reason))) {
      job.results[each.position] = new Conflict(each.write.key, undefined);
    } else if (rules.slotFirst && inSlot?.["x"]?.S === each.nonce) recordStored(job, each);
    else if (hasFailed(object)) await decide(job, each, object?.Item, again);
    else if (hasFailed(slot)) again.push(each);
    else survivors.push(each);
  }
  return { survivors, again };
}

/** Decides a write whose condition on the object failed: a conflict, unless the slot shows that this write is stored. */
async function decide(job: Committing, each: Pending, found: Item | undefined, again: Pending[]): Promise<void> {
  const { context, type } = job;
  const { rules } = context;
  const open = rules.voidGivenUp ? await settleSlots(job, [each], rules.slotFirst) : [each];
  if (open.length === 0) return;
  const { write } = each;
  const isOvertaken = found !== undefined && revisionOf(found) >= each.ticket;
  const isFree = !found || isTombstone(found);
  if (write.type === "create" ? isFree : found && isOvertaken && revisionOf(found) === write.expected) {
    // The object has a higher revision: the ticket is too low, and the write may still be valid.
    again.push(each);
    return;
  }
  const entry = found && (await entryOf(context, type, found));
  job.results[each.position] = write.type === "create" && entry ? new Exists(entry) : new Conflict(write.key, entry);
}

/**
 * Settles the slots of writes with an unknown outcome. If `isEvidence`, a write whose slot holds its nonce is stored and
 * gets its result. Returns the others.
 */
async function settleSlots(job: Committing, open: Pending[], isEvidence: boolean): Promise<Pending[]> {
  const { context, type, head } = job;
  const failed: Pending[] = [];
  for (const each of open) {
    const found = await fillSlot(context, type, head.shards, each.ticket, each.drawnAt + times.readable);
    if (isEvidence && found?.["x"]?.S === each.nonce) recordStored(job, each);
    else failed.push(each);
  }
  return failed;
}

/** Draws new tickets for writes whose slots were filled. */
async function renew(job: Committing, open: Pending[]): Promise<{ fresh: Pending[]; spent: Pending[] }> {
  const spent = open.filter((each) => each.tickets >= mostTickets);
  const renewable = open.filter((each) => each.tickets < mostTickets);
  if (renewable.length === 0) return { fresh: [], spent };
  const drawn = await drawTickets(job.context, job.type, renewable.length);
  job.head = drawn.head;
  const fresh = renewable.map((each, index) =>
    prepare(job, { ...each, tickets: each.tickets + 1 }, drawn.first + index, drawn.at),
  );
  return { fresh, spent };
}
