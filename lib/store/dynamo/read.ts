import { sleep } from "#base";
import { type Change, Compacted, FutureRevision } from "#store";
import type { Item } from "./client.ts";
import type { Context } from "./context.ts";
import { type Head, readHead } from "./head.ts";
import { changeOf, isVoid, number } from "./items.ts";
import { times } from "./rules.ts";
import { fillSlot, lookAfter, readSlot } from "./slots.ts";

/**
 * What one process remembers of a type between calls. These are hints: a wrong one costs a read and causes no error.
 */
export interface Memory {
  /** The last head that was read. */
  head?: Head;
  /** The hole at the end of the readable log, and since when it has been seen. */
  hole?: { revision: number; since: number };
  /** Revisions up to which the log was seen without holes, and when; rising. */
  wholeThrough: { revision: number; at: number }[];
}

export interface RunOptions {
  limit?: number;
  /** Read until this revision, waiting for holes and filling them. */
  until?: number;
  /** Slots that no writer can fill any more are skipped, for callers that need only changes in flight. */
  settledAreKnown?: boolean;
}

export interface Run {
  /** The slots in order, including voids. */
  slots: Item[];
  through: number;
  head: Head;
}

const waitForHole = 25;
const mostRemembered = 16;

/** Reads the log above `after` up to its first hole. Throws Compacted and FutureRevision as the port does. */
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
    // Slots first, then the floor: slots may expire while they are read.
    const head = await readHead(context, type);
    known = head;
    memory.head = head;
    if (!settledAreKnown) checkPlace(context, after, head, rules.halfLife ? slots.slice(start) : [], lookedAt);
    if (after <= settledBy(memory, head)) noteWhole(memory, through, lookedAt);
    if (slots.length >= limit && through >= until) break;
    if (through >= look.horizon) continue;
    if (through >= head.counter) break;
    // The type has more shards since: the hole may be a slot in a shard that was not read.
    if (head.shards.length !== lookedBy.shards.length) continue;
    // Slots may have been settled between the read of the slots and that of the head.
    if (lookedBy.settledThrough <= through && head.settledThrough > through) continue;
    const next = nextSlot(look.slots, through);
    const verdict = await classifyHole(context, type, memory, {
      after,
      through,
      head,
      next,
      last: slots.at(-1),
      settledAreKnown,
      lookedAt,
    });
    if (verdict === "gone") throw new Compacted(after, Math.max(head.floor, head.settledThrough));
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
  // From here on slots may be missing, whatever exists.
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
 * What a missing slot means. `young`: its writer may still commit. `old`: the writer's ticket has expired; the slot may
 * be filled. `settled`: no write can arrive any more, and there is none, or none that is needed. `gone`: the slot may
 * have existed and expired.
 */
async function classifyHole(context: Context, type: string, memory: Memory, hole: Hole) {
  const { after, through, head, next, last, settledAreKnown, lookedAt } = hole;
  const { rules, clock } = context;
  const now = clock.now();
  const revision = through + 1;
  // Tickets above `settledThrough` follow each other without long pauses, so the next slot dates the hole.
  const sign = next ? number(next, "t") : head.drawnAt;
  const isPast = revision <= head.settledThrough || lookedAt - sign > times.latest;
  if (isPast && rules.oldHoles) {
    const isKnown = settledAreKnown || (await isFresh(context, type, head, after, last));
    return isKnown ? "settled" : "gone";
  }
  if (next && now - number(next, "t") > times.fillAfter) return "old";
  if (memory.hole?.revision !== revision) memory.hole = { revision, since: now };
  return now - memory.hole.since >= times.fillAfter ? "old" : "young";
}

/** Whether no slot above a reader's position can have expired yet. */
async function isFresh({ clock, ...context }: Context, type: string, head: Head, after: number, last?: Item) {
  const limit = clock.now() - times.readable;
  if (after >= head.settledThrough && head.settledAt > limit) return true;
  // The revision before the first has no slot: its age is that of the type.
  if (!last && after <= 1) return head.bornAt > limit;
  const anchor = last ?? (await readSlot({ clock, ...context }, type, head.shards, after));
  return anchor !== undefined && number(anchor, "t") > limit;
}

/** A reader may start at any revision: those below it are settled only as far as a process has seen them settled. */
const settledBy = (memory: Memory, head: Head): number =>
  Math.max(head.settledThrough, memory.wholeThrough.at(-1)?.revision ?? 1);

function noteWhole(memory: Memory, revision: number, at: number): void {
  const last = memory.wholeThrough.at(-1);
  if (last && (revision < last.revision || at - last.at < 1000)) return;
  memory.wholeThrough.push({ revision, at });
  if (memory.wholeThrough.length > mostRemembered) memory.wholeThrough.splice(1, 1);
}

/** The changes in a run, each with the state before it. Throws Compacted when a part of one is gone. */
export async function changesOf(context: Context, type: string, after: number, run: Run): Promise<Change[]> {
  const here = new Map(run.slots.map((slot) => [number(slot, "r"), slot]));
  const find = async (revision: number) => here.get(revision) ?? readSlot(context, type, run.head.shards, revision);
  const found = run.slots.filter((slot) => !isVoid(slot)).map((slot) => changeOf(context, type, slot, find));
  return (await Promise.all(found)).map((change) => {
    if (!change) throw new Compacted(after, run.through);
    return change;
  });
}
