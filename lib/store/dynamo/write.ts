import type { CancellationReason } from "@aws-sdk/client-dynamodb";
import { internalError, tooManyRequests } from "#base";
import { type Change, type Commit, Conflict, checkWrites, Exists, refusal, type Write } from "#store";
import { failureOf, type Item } from "./client.ts";
import { type Context, nonceOf, pause } from "./context.ts";
import { drawTickets } from "./head.ts";
import { entryOf, isTombstone, revisionOf } from "./items.ts";
import { packs } from "./packs.ts";
import { type Committing, type Pending, prepare, type Wanted } from "./prepare.ts";
import { mostTickets, times } from "./rules.ts";
import { fillSlot } from "./slots.ts";
import { checkKey } from "./sort-key.ts";

/** What the tables hold for the keys of a commit, read consistently. */
export type ReadItems = (keys: string[]) => Promise<Map<string, Item>>;

/**
 * Makes the writes of one commit. Throws 413 for a key that is too long, and 429 when some could not be made in time; the error's `results` then holds
 * what became of the others, and none of those without a result is in the log.
 */
export async function commitWrites(context: Context, type: string, writes: Write[], read: ReadItems) {
  checkWrites(writes);
  for (const { key } of writes) checkKey(key);
  const results: (Commit | undefined)[] = writes.map(() => undefined);
  const wanted: Wanted[] = [];
  const items = await read(writes.filter((write) => write.type !== "create").map((write) => write.key));
  for (const [place, write] of writes.entries()) {
    const item = items.get(write.key);
    const entry = item && (await entryOf(context, type, item));
    const refused = write.type === "create" ? undefined : refusal(write, entry);
    if (refused) results[place] = refused;
    else wanted.push({ write, place, before: item && entry ? { item, entry } : undefined, tickets: 1 });
  }
  if (wanted.length === 0) return { results: results as Commit[], changes: [], head: undefined };
  const drawn = await drawTickets(context, type, wanted.length);
  const job: Committing = { context, type, head: drawn.head, results, changes: [], top: 0 };
  const tickets = wanted.map((_, index) => drawn.first + index);
  let pending: Pending[];
  try {
    pending = wanted.map((each, index) => prepare(job, each, tickets[index]!, drawn.at));
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
  return { results: results as Commit[], changes: job.changes, head: drawn.head };
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
async function settle(job: Committing, all: Pending[]): Promise<Pending[]> {
  const { context } = job;
  const { clock, rules } = context;
  const exhausted: Pending[] = [];
  const age = (each: Pending) => clock.now() - each.drawnAt;
  /** New tickets for those who need them and for those behind them, so that the writes of a commit keep their order. */
  const renewed = async (kept: Pending[], without: Pending[]): Promise<Pending[]> => {
    if (without.length === 0) return kept;
    const first = Math.min(...without.map((each) => each.place));
    const overtaken = kept.filter((each) => each.place > first);
    const going = [...without, ...(await givenUp(job, overtaken, rules.slotFirst))];
    const { fresh, spent } = await renew(job, inOrder(going));
    exhausted.push(...spent);
    return [...kept.filter((each) => each.place < first), ...fresh];
  };
  const isLow = (each: Pending) => each.ticket < job.top;
  let pack = all.some(isLow) ? await renewed([], await givenUp(job, all, rules.slotFirst)) : all;
  let token = nonceOf(context);
  for (let tries = 0; pack.length > 0; tries++) {
    const late = rules.ticketLife ? pack.filter((each) => age(each) > times.ticketLife) : [];
    if (late.length > 0) {
      const kept = pack.filter((each) => !late.includes(each));
      pack = await renewed(kept, await givenUp(job, late, rules.slotFirst));
      token = nonceOf(context);
      continue;
    }
    const sent = await send(context, pack, token);
    if (sent.kind === "made") {
      for (const each of pack) made(job, each);
      break;
    }
    if (sent.kind === "unknown") {
      pack = await renewed([], rules.slotDecides ? await givenUp(job, pack, true) : pack);
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
    pack = await renewed(kept, [...again, ...(await givenUp(job, spent, rules.slotFirst))]);
    if (!isSame || spent.length > 0) token = nonceOf(context);
    if (isBlocked && pack.length > 0) await pause(context, Math.min(tries, 3));
  }
  return exhausted;
}

function made(job: Committing, each: Pending): void {
  const { write, entry, before } = each;
  const change: Change = { revision: entry.revision, type: write.type, key: write.key, entry };
  job.results[each.place] = entry;
  job.changes.push(before ? { ...change, previous: before.entry } : change);
  job.top = Math.max(job.top, each.ticket);
}

const inOrder = (pack: Pending[]): Pending[] => pack.sort((a, b) => a.place - b.place);

const isNoAnswer = ({ Code }: CancellationReason): boolean =>
  Code !== undefined && Code !== "None" && Code !== "ConditionalCheckFailed";

/** Goes through the reasons of a cancelled transaction: who is decided, who goes again, who needs another ticket. */
async function sift(job: Committing, pack: Pending[], reasons: CancellationReason[]) {
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
    } else if (rules.slotFirst && inSlot?.["x"]?.S === each.nonce) made(job, each);
    else if (hasFailed(object)) await answer(job, each, object?.Item, again);
    else if (hasFailed(slot)) again.push(each);
    else survivors.push(each);
  }
  return { survivors, again };
}

/** The object was not as expected: unless the slot says that this very write made it so, that is the answer. */
async function answer(job: Committing, each: Pending, found: Item | undefined, again: Pending[]): Promise<void> {
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
async function givenUp(job: Committing, open: Pending[], believes: boolean): Promise<Pending[]> {
  const { context, type, head } = job;
  const failed: Pending[] = [];
  for (const each of open) {
    const found = await fillSlot(context, type, head.shards, each.ticket, each.drawnAt + times.readable);
    if (believes && found?.["x"]?.S === each.nonce) made(job, each);
    else failed.push(each);
  }
  return failed;
}

/** New tickets for writes whose old slots can no longer be theirs. */
async function renew(job: Committing, open: Pending[]): Promise<{ fresh: Pending[]; spent: Pending[] }> {
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
