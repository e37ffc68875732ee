import type { Context } from "./context.ts";
import { raiseFloor, raiseSettled, readHead } from "./head.ts";
import { number, revisionOf } from "./items.ts";
import { type Memory, readRun } from "./read.ts";
import { times } from "./rules.ts";

const step = 1000;

/**
 * The revision through which the log is settled: above it a writer may still commit. With `until`, waits for the
 * writers below it.
 */
export async function settledThrough(context: Context, type: string, memory: Memory, until = 0): Promise<number> {
  const { rules, clock } = context;
  const head = await readHead(context, type);
  if (!rules.floorOverSettled) return head.counter;
  const at = clock.now();
  const { through } = await readRun(context, type, memory, head.settledThrough, {
    settledAreKnown: true,
    until: Math.min(until, head.counter),
  });
  if (through > head.settledThrough) await raiseSettled(context, type, through, at);
  return Math.max(through, head.settledThrough);
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
    // After the last slot there may be unused tickets: they are as young as the newest of them.
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
