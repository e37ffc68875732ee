import { sleep } from "#base";
import {
  type Change,
  type Commit,
  Compacted,
  Conflict,
  type Entry,
  Exists,
  openCache,
  type Page,
  type Store,
  type Write,
} from "#store";
import type { Plan, Step } from "./plan.ts";
import type { Process, World } from "./world.ts";

/** When a call was made and answered, in steps of the world. */
export interface Span {
  began: number;
  ended: number;
}

/** A write and what its writer was told; without an answer anything may have come of it. */
export interface Told {
  text: string;
  key: string;
  type: Write["type"];
  /** The revision that it was meant to replace; 0 for a create. */
  expected: number;
  span: Span;
  result: Commit | "refused" | "unknown";
}

/** What one follower has been told since it last started. */
export interface Followed {
  start: number;
  through: number;
  changes: Change[];
}

export interface Listed extends Span {
  page: Page;
  /** The revisions acknowledged before the call began: the highest of them. */
  acknowledged: number;
  at?: number | undefined;
  after?: string | undefined;
}

/** A read of the log, and what it was told. */
export interface LogRead extends Span {
  process: Process;
  after: number;
  calledAt: number;
  endedAt: number;
  result: { changes: Change[]; through: number } | Compacted;
}

export interface History {
  world: World;
  told: Told[];
  followed: Followed[];
  listed: Listed[];
  reads: LogRead[];
  caughtUp: { acknowledged: number; revision: number; page: Page }[];
  /** What went wrong where nothing may. */
  faults: string[];
}

/** A store as one process opens it, and what the driver's tick does. */
export interface Opened {
  store: Store;
  tick?: (roll: number) => Promise<void>;
}

const type = "things";
const encoder = new TextEncoder();
const decoder = new TextDecoder();
export const textOf = (entry: Entry): string => decoder.decode(entry.body);

/** Plays a plan over a store that every process opens for itself. */
export async function play(
  plan: Plan,
  world: World,
  open: (process: Process) => Opened,
  steps: number,
): Promise<History> {
  const history: History = { world, told: [], followed: [], listed: [], reads: [], caughtUp: [], faults: [] };
  const names = Array.from({ length: plan.keys }, (_, index) => `ns/${index}`);
  let acknowledged = 1;
  let texts = 0;

  const make = (key: string, current: Entry | undefined, step: Step): { write: Write; text: string } => {
    const text = `${key}#${++texts}`;
    const body = (revision: number) => encoder.encode(`${text}@${revision}`);
    const rest = { key, body, schema: "s", index: { uid: key } };
    if (!current !== step.isStale) return { text, write: { type: "create", ...rest } };
    const expected = step.isStale ? (current?.revision ?? 3) - 1 : current!.revision;
    return { text, write: { type: step.isDelete ? "delete" : "update", expected, ...rest } };
  };

  const write = async (process: Process, store: Store, step: Step): Promise<void> => {
    const keys = [...new Set(step.keys.map((key) => names[key % names.length]!))];
    const made: { write: Write; text: string }[] = [];
    for (const key of keys) {
      const began = world.step;
      const current = await store.get(type, key);
      history.told.push({
        text: "",
        key,
        type: "create",
        expected: 0,
        span: { began, ended: world.step },
        result: current ? new Exists(current) : new Conflict(key, undefined),
      });
      made.push(make(key, current, step));
    }
    const told = made.map(({ write, text }): Told => {
      const span = { began: world.step, ended: Number.POSITIVE_INFINITY };
      const expected = write.type === "create" ? 0 : write.expected;
      return { text, key: write.key, type: write.type, expected, span, result: "unknown" };
    });
    history.told.push(...told);
    const note = (results: (Commit | undefined)[], rest: Told["result"]) => {
      for (const [index, one] of told.entries()) {
        one.span.ended = world.step;
        one.result = results[index] ?? rest;
        if (!(one.result instanceof Error) && typeof one.result === "object")
          acknowledged = Math.max(acknowledged, one.result.revision);
      }
    };
    try {
      note(
        await store.commit(
          type,
          made.map((each) => each.write),
        ),
        "unknown",
      );
      world.note(`${process.name} wrote ${told.map(tellOf).join(", ")}`);
    } catch (error) {
      const { code, results = [] } = error as { code?: number; results?: Commit[] };
      note(results, code === 429 ? "refused" : "unknown");
      world.note(`${process.name} failed: ${error}`);
    }
  };

  const startWriter = (name: string, steps: Step[]): void => {
    const left = [...steps];
    const run = async (process: Process) => {
      const { store } = open(process);
      for (let step = left.shift(); step; step = left.shift()) {
        try {
          await write(process, store, step);
        } catch (error) {
          world.note(`${process.name} could not read: ${error}`);
        }
        await sleep(process.clock, world.dice.below(300));
      }
    };
    world.spawn(name, run, () => startWriter(`${name}'`, left));
  };

  const list = async (store: Store, options: { limit?: number; at?: number; after?: string }): Promise<Page> => {
    const before = acknowledged;
    const began = world.step;
    const page = await store.list(type, options);
    history.listed.push({ page, acknowledged: before, began, ended: world.step, at: options.at, after: options.after });
    return page;
  };

  const startLister = (count: number): void => {
    world.spawn("lister", async (process) => {
      const { store } = open(process);
      for (let round = 0; round < count; round++) {
        await sleep(process.clock, world.dice.below(1500));
        try {
          const page = await list(store, world.dice.chance(0.5) ? { limit: 1 } : {});
          const last = page.entries.at(-1);
          if (!last) continue;
          await sleep(process.clock, world.dice.below(1500));
          await list(store, { at: page.revision, after: last.key });
        } catch (error) {
          if (!(error instanceof Compacted)) world.note(`lister: ${error}`);
        }
      }
    });
  };

  const startFollower = (name: string): void => {
    world.spawn(name, async (process) => {
      const { store } = open(process);
      let followed: Followed | undefined;
      for (let round = 0; round < 8; round++) {
        await sleep(process.clock, world.dice.below(800));
        try {
          if (!followed) {
            // Some go on from an object that they have read, whatever is still on its way below it.
            const read = world.dice.chance(0.4) ? await store.get(type, world.dice.pick(names)) : undefined;
            const { revision } = read ?? (await list(store, {}));
            followed = { start: revision, through: revision, changes: [] };
            history.followed.push(followed);
          }
          if (world.dice.chance(0.25)) await list(store, {});
          const read: Omit<LogRead, "result" | "ended" | "endedAt"> = {
            process,
            after: followed.through,
            began: world.step,
            calledAt: world.now,
          };
          try {
            const limit = world.dice.chance(0.3) ? 2 : undefined;
            const result = await store.changes(type, followed.through, limit);
            history.reads.push({ ...read, result, ended: world.step, endedAt: world.now });
            followed.changes.push(...result.changes);
            followed.through = result.through;
          } catch (error) {
            if (!(error instanceof Compacted)) throw error;
            history.reads.push({ ...read, result: error, ended: world.step, endedAt: world.now });
            followed = undefined;
          }
        } catch (error) {
          world.note(`${name}: ${error}`);
        }
      }
    });
  };

  const startCache = (count: number): void => {
    world.spawn("cache", async (process) => {
      const { store } = open(process);
      const cache = await openCache({ store, type, clock: process.clock, live: false });
      let followed: Followed = { start: cache.revision, through: cache.revision, changes: [] };
      history.followed.push(followed);
      const follow = (): void => {
        const mine = followed;
        cache.follow(
          mine.start,
          (changes, through) => {
            mine.changes.push(...changes);
            mine.through = through;
          },
          (error) => {
            if (!(error instanceof Compacted)) return;
            followed = { start: cache.revision, through: cache.revision, changes: [] };
            history.followed.push(followed);
            follow();
          },
        );
      };
      follow();
      for (let round = 0; round < count; round++) {
        await sleep(process.clock, world.dice.below(2000));
        const before = acknowledged;
        try {
          await cache.catchUp();
          history.caughtUp.push({ acknowledged: before, revision: cache.revision, page: cache.list() });
        } catch (error) {
          world.note(`cache: ${error}`);
        }
      }
      cache.close();
    });
  };

  const startTicker = (count: number): void => {
    world.spawn("ticker", async (process) => {
      const { store, tick } = open(process);
      for (let round = 0; round < count; round++) {
        await sleep(process.clock, world.dice.below(2500));
        const roll = world.dice.fraction();
        try {
          if (tick && roll < 0.5) await tick(roll);
          else await store.compact(type, (await store.head(type)) - world.dice.below(4));
        } catch (error) {
          world.note(`ticker: ${error}`);
        }
      }
    });
  };

  for (const [index, steps] of plan.writers.entries()) startWriter(`w${index}`, steps);
  for (let index = 0; index < plan.followers; index++) startFollower(`f${index}`);
  if (plan.lists > 0) startLister(plan.lists);
  if (plan.catchUps > 0) startCache(plan.catchUps);
  if (plan.compactions > 0) startTicker(plan.compactions);
  await world.run(steps);
  return history;
}

function tellOf({ type, text, result }: Told): string {
  if (result instanceof Error) return `${type} ${text}: ${result.name}`;
  return `${type} ${text}: ${typeof result === "string" ? result : result.revision}`;
}
