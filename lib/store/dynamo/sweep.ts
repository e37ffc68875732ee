import type { Context } from "./context.ts";
import { raiseFloor, raiseMark, readHead } from "./head.ts";
import { number, revisionOf } from "./items.ts";
import { type Memory, readRun } from "./read.ts";
import { times } from "./rules.ts";

const step = 1000;

/**
 * How far the log is settled: above it some writer may still be at work. With `until`, whoever is at work below it is
 * waited for.
 */
export async function settledThrough(context: Context, type: string, memory: Memory, until = 0): Promise<number> {
  const { rules, clock } = context;
  const head = await readHead(context, type);
  if (!rules.floorOverSettled) return head.counter;
  const at = clock.now();
  const { through } = await readRun(context, type, memory, head.mark, {
    settledAreKnown: true,
    until: Math.min(until, head.counter),
  });
  if (through > head.mark) await raiseMark(context, type, through, at);
  return Math.max(through, head.mark);
}

/** Raises the floor over everything settled that is older than an hour, a thousand changes at a time. */
export async function sweepType(context: Context, type: string, memory: Memory): Promise<void> {
  const { clock } = context;
  await settledThrough(context, type, memory);
  for (;;) {
    const head = await readHead(context, type);
    const limit = clock.now() - times.kept;
    const run = await readRun(context, type, memory, head.floor, { limit: step, settledAreKnown: true });
    const young = run.slots.find((slot) => number(slot, "t") > limit);
    // Behind the last slot there may be tickets that nobody has used yet: they are as young as the newest of them.
    const isAtEnd = run.through >= head.counter && head.drawnAt > limit;
    const last = isAtEnd ? (run.slots.at(-1) ?? undefined) : undefined;
    let floor = run.through;
    if (young) floor = revisionOf(young) - 1;
    else if (isAtEnd) floor = last ? revisionOf(last) : head.floor;
    if (floor <= head.floor) return;
    await raiseFloor(context, type, floor);
    if (young || run.slots.length < step) return;
  }
}
