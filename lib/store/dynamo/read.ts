import { sleep } from "#base";
import { type Change, Compacted, FutureRevision } from "#store";
import type { Item } from "./client.ts";
import type { Context } from "./context.ts";
import { type Head, readHead } from "./head.ts";
import { changeOf, isVoid, number } from "./items.ts";
import { times } from "./rules.ts";
import { fillSlot, lookAfter, readSlot } from "./slots.ts";

/** What one process remembers of a type between calls. All of it is hints: a wrong one costs a look, never a fault. */
export interface Memory {
  /** The last head that was read. */
  head?: Head;
  /** The hole that stands at the end of what can be read, and since when it has been seen. */
  hole?: { revision: number; since: number };
  /** Revisions up to which the log was seen whole, and when; rising. */
  marks: { revision: number; at: number }[];
}

export interface RunOptions {
  limit?: number;
  /** Read on, waiting for holes and filling them, until this revision is reached. */
  until?: number;
  /** Slots that nobody can fill any more are passed over: for who needs only what may still be moving. */
  settledAreKnown?: boolean;
}

export interface Run {
  /** The slots in order, voids among them. */
  slots: Item[];
  through: number;
  head: Head;
}

const waitForHole = 25;
const mostMarks = 16;

/** Reads the log above `after` as far as it is whole. Throws Compacted and FutureRevision as the port does. */
export async function readRun(
  context: Context,
  type: string,
  memory: Memory,
  after: number,
  options: RunOptions = {},
): Promise<Run> {
  const { clock, rules } = context;
  const { limit = Number.POSITIVE_INFINITY, until = 0, settledAreKnown = false } = options;
  const slots: Item[] = [];
  let through = after;
  let known = memory.head ?? (await readHead(context, type));
  if (!rules.floorLast) {
    known = await readHead(context, type);
    if (after < known.floor) throw new Compacted(after, known.floor);
  }
  for (;;) {
    const lookedAt = clock.now();
    const look = await lookAfter(context, type, through, known, Math.max(1, limit - slots.length));
    const lookedBy = known;
    const start = slots.length;
    for (let slot = look.slots.get(through + 1); slot && through < look.horizon; slot = look.slots.get(through + 1)) {
      slots.push(slot);
      through++;
    }
    // Slots first, then the floor: what was read may have been on its way out.
    const head = await readHead(context, type);
    known = head;
    memory.head = head;
    if (!settledAreKnown) checkPlace(context, after, head, rules.halfLife ? slots.slice(start) : [], lookedAt);
    if (after <= settledBy(memory, head)) noteMark(memory, through, lookedAt);
    if (slots.length >= limit && through >= until) break;
    if (through >= look.horizon) continue;
    if (through >= head.counter) break;
    // The type was spread over more shards since: the hole may be a slot where nobody has looked.
    if (head.shards.length !== lookedBy.shards.length) continue;
    // What has been settled since may have come between the look and the head.
    if (lookedBy.mark <= through && head.mark > through) continue;
    const next = nextSlot(look.slots, through);
    const verdict = await judge(context, type, memory, {
      after,
      through,
      head,
      next,
      last: slots.at(-1),
      settledAreKnown,
      lookedAt,
    });
    if (verdict === "gone") throw new Compacted(after, Math.max(head.floor, head.mark));
    if (verdict === "settled") through++;
    else if (verdict === "old") await fillSlot(context, type, head.shards, through + 1, lookedAt + times.latest);
    else if (rules.stopAtHole) {
      if (through >= until) break;
      await sleep(clock, waitForHole);
    } else through++;
  }
  return { slots, through, head: known };
}

function checkPlace({ rules, clock }: Context, after: number, head: Head, slots: Item[], lookedAt: number): void {
  if (rules.floorLast && after < head.floor) throw new Compacted(after, head.floor);
  if (after > head.counter) throw new FutureRevision(after, head.counter);
  // Anything may be missing from here on, whatever is still there.
  const isOld = slots.some((slot) => Math.max(lookedAt, clock.now()) - number(slot, "t") > times.readable);
  if (isOld) throw new Compacted(after, head.floor);
}

function nextSlot(slots: Map<number, Item>, through: number): Item | undefined {
  let next: number | undefined;
  for (const revision of slots.keys())
    if (revision > through && (next === undefined || revision < next)) next = revision;
  return next === undefined ? undefined : slots.get(next);
}

interface Hole {
  after: number;
  through: number;
  head: Head;
  next: Item | undefined;
  last: Item | undefined;
  settledAreKnown: boolean;
  lookedAt: number;
}

/**
 * What a missing slot means. `young`: its writer may be at it. `old`: he has had his time, the slot may be filled.
 * `settled`: nothing can come any more, and nothing has, or what has is not needed. `gone`: it may have been there
 * and expired.
 */
async function judge(context: Context, type: string, memory: Memory, hole: Hole) {
  const { after, through, head, next, last, settledAreKnown, lookedAt } = hole;
  const { rules, clock } = context;
  const now = clock.now();
  const revision = through + 1;
  // Tickets above the mark follow each other without a long rest, so the next sign of life dates the hole.
  const sign = next ? number(next, "t") : head.drawnAt;
  const isPast = revision <= head.mark || lookedAt - sign > times.latest;
  if (isPast && rules.oldHoles) {
    const isKnown = settledAreKnown || (await isFresh(context, type, head, after, last));
    return isKnown ? "settled" : "gone";
  }
  if (next && now - number(next, "t") > times.patience) return "old";
  if (memory.hole?.revision !== revision) memory.hole = { revision, since: now };
  return now - memory.hole.since >= times.patience ? "old" : "young";
}

/** Whether nothing above a reader's place can have expired yet. */
async function isFresh({ clock, ...context }: Context, type: string, head: Head, after: number, last?: Item) {
  const limit = clock.now() - times.readable;
  if (after >= head.mark && head.markAt > limit) return true;
  // The revision before the first has no slot: it is as old as the type.
  if (!last && after <= 1) return head.bornAt > limit;
  const anchor = last ?? (await readSlot({ clock, ...context }, type, head.shards, after));
  return anchor !== undefined && number(anchor, "t") > limit;
}

/** A reader may start anywhere: what lies below his place is settled only as far as somebody has seen it. */
const settledBy = (memory: Memory, head: Head): number => Math.max(head.mark, memory.marks.at(-1)?.revision ?? 1);

function noteMark(memory: Memory, revision: number, at: number): void {
  const last = memory.marks.at(-1);
  if (last && (revision < last.revision || at - last.at < 1000)) return;
  memory.marks.push({ revision, at });
  if (memory.marks.length > mostMarks) memory.marks.splice(1, 1);
}

/** The changes in a run, each with the state before it. Throws Compacted when some of that is gone. */
export async function changesOf(context: Context, type: string, after: number, run: Run): Promise<Change[]> {
  const here = new Map(run.slots.map((slot) => [number(slot, "r"), slot]));
  const find = async (revision: number) => here.get(revision) ?? readSlot(context, type, run.head.shards, revision);
  const found = run.slots.filter((slot) => !isVoid(slot)).map((slot) => changeOf(context, type, slot, find));
  return (await Promise.all(found)).map((change) => {
    if (!change) throw new Compacted(after, run.through);
    return change;
  });
}
