import { sleep } from "#base";
import {
  type Cache,
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

/** A write and its answer; without an answer it may be stored or not. */
export interface WriteAttempt {
  text: string;
  key: string;
  type: Write["type"];
  /** The revision that it replaces; 0 for a create. */
  expected: number;
  span: Span;
  result: Commit | "refused" | "unknown";
}

/** What one follower has received since it last started. */
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

/** A read of the log, and its answer. */
export interface LogRead extends Span {
  process: Process;
  after: number;
  calledAt: number;
  endedAt: number;
  result: { changes: Change[]; through: number } | Compacted;
}

export interface History {
  world: World;
  writes: WriteAttempt[];
  followed: Followed[];
  listed: Listed[];
  reads: LogRead[];
  caughtUp: { acknowledged: number; revision: number; page: Page }[];
  /** Errors that no plan explains. */
  faults: string[];
}

/** A store as one process opens it, and the driver's periodic maintenance. */
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
  const player = new Player(plan, world, open);
  player.start();
  await world.run(steps);
  return player.history;
}

interface PlannedWrite {
  write: Write;
  text: string;
}

/** The processes of a plan, and the history of their calls. */
class Player {
  readonly history: History;
  readonly #plan: Plan;
  readonly #world: World;
  readonly #open: (process: Process) => Opened;
  readonly #names: string[];
  #acknowledged = 1;
  #texts = 0;

  constructor(plan: Plan, world: World, open: (process: Process) => Opened) {
    this.#plan = plan;
    this.#world = world;
    this.#open = open;
    this.#names = Array.from({ length: plan.keys }, (_, index) => `ns/${index}`);
    this.history = { world, writes: [], followed: [], listed: [], reads: [], caughtUp: [], faults: [] };
  }

  start(): void {
    const { writers, followers, lists, catchUps, compactions } = this.#plan;
    for (const [index, steps] of writers.entries()) this.#startWriter(`w${index}`, steps);
    for (let index = 0; index < followers; index++) this.#startFollower(`f${index}`);
    if (lists > 0) this.#startLister(lists);
    if (catchUps > 0) this.#startCache(catchUps);
    if (compactions > 0) this.#startTicker(compactions);
  }

  #planWrite(key: string, current: Entry | undefined, step: Step): PlannedWrite {
    const text = `${key}#${++this.#texts}`;
    const body = (revision: number) => encoder.encode(`${text}@${revision}`);
    const rest = { key, body, schema: "s", index: { uid: key } };
    if (!current !== step.isStale) return { text, write: { type: "create", ...rest } };
    const expected = step.isStale ? (current?.revision ?? 3) - 1 : current!.revision;
    return { text, write: { type: step.isDelete ? "delete" : "update", expected, ...rest } };
  }

  /** Reads the objects of a step and plans a write of each. A read is recorded as the refusal of a write. */
  async #planWrites(store: Store, step: Step): Promise<PlannedWrite[]> {
    const keys = [...new Set(step.keys.map((key) => this.#names[key % this.#names.length]!))];
    const planned: PlannedWrite[] = [];
    for (const key of keys) {
      const began = this.#world.step;
      const current = await store.get(type, key);
      this.history.writes.push({
        text: "",
        key,
        type: "create",
        expected: 0,
        span: { began, ended: this.#world.step },
        result: current ? new Exists(current) : new Conflict(key, undefined),
      });
      planned.push(this.#planWrite(key, current, step));
    }
    return planned;
  }

  async #write(process: Process, store: Store, step: Step): Promise<void> {
    const planned = await this.#planWrites(store, step);
    const attempts = planned.map(({ write, text }): WriteAttempt => {
      const span = { began: this.#world.step, ended: Number.POSITIVE_INFINITY };
      const expected = write.type === "create" ? 0 : write.expected;
      return { text, key: write.key, type: write.type, expected, span, result: "unknown" };
    });
    this.history.writes.push(...attempts);
    try {
      const writes = planned.map(({ write }) => write);
      this.#settle(attempts, await store.commit(type, writes), "unknown");
      this.#world.note(`${process.name} wrote ${attempts.map(noteOf).join(", ")}`);
    } catch (error) {
      const { code, results = [] } = error as { code?: number; results?: Commit[] };
      this.#settle(attempts, results, code === 429 ? "refused" : "unknown");
      this.#world.note(`${process.name} failed: ${error}`);
    }
  }

  #settle(attempts: WriteAttempt[], results: (Commit | undefined)[], rest: WriteAttempt["result"]): void {
    for (const [index, attempt] of attempts.entries()) {
      attempt.span.ended = this.#world.step;
      attempt.result = results[index] ?? rest;
      if (attempt.result instanceof Error || typeof attempt.result !== "object") continue;
      this.#acknowledged = Math.max(this.#acknowledged, attempt.result.revision);
    }
  }

  #startWriter(name: string, steps: Step[]): void {
    const left = [...steps];
    const run = async (process: Process) => {
      const { store } = this.#open(process);
      for (let step = left.shift(); step; step = left.shift()) {
        try {
          await this.#write(process, store, step);
        } catch (error) {
          this.#world.note(`${process.name} could not read: ${error}`);
        }
        await sleep(process.clock, this.#world.dice.below(300));
      }
    };
    this.#world.spawn(name, run, () => this.#startWriter(`${name}'`, left));
  }

  async #list(store: Store, options: { limit?: number; at?: number; after?: string }): Promise<Page> {
    const [acknowledged, began] = [this.#acknowledged, this.#world.step];
    const page = await store.list(type, options);
    const { at, after } = options;
    this.history.listed.push({ page, acknowledged, began, ended: this.#world.step, at, after });
    return page;
  }

  #startLister(count: number): void {
    const { dice } = this.#world;
    this.#world.spawn("lister", async (process) => {
      const { store } = this.#open(process);
      for (let round = 0; round < count; round++) {
        await sleep(process.clock, dice.below(1500));
        try {
          const page = await this.#list(store, dice.chance(0.5) ? { limit: 1 } : {});
          const last = page.entries.at(-1);
          if (!last) continue;
          await sleep(process.clock, dice.below(1500));
          await this.#list(store, { at: page.revision, after: last.key });
        } catch (error) {
          if (!(error instanceof Compacted)) this.#world.note(`lister: ${error}`);
        }
      }
    });
  }

  #startFollower(name: string): void {
    const { dice } = this.#world;
    this.#world.spawn(name, async (process) => {
      const { store } = this.#open(process);
      let followed: Followed | undefined;
      for (let round = 0; round < 8; round++) {
        await sleep(process.clock, dice.below(800));
        try {
          followed ??= await this.#startFollowing(store);
          if (dice.chance(0.25)) await this.#list(store, {});
          if (!(await this.#follow(process, store, followed))) followed = undefined;
        } catch (error) {
          this.#world.note(`${name}: ${error}`);
        }
      }
    });
  }

  async #startFollowing(store: Store): Promise<Followed> {
    const { dice } = this.#world;
    // Some continue from an object that they have read, whatever is still being written below it.
    const read = dice.chance(0.4) ? await store.get(type, dice.pick(this.#names)) : undefined;
    const { revision } = read ?? (await this.#list(store, {}));
    const followed = { start: revision, through: revision, changes: [] };
    this.history.followed.push(followed);
    return followed;
  }

  /** Reads the next changes. Resolves with false where they have been compacted. */
  async #follow(process: Process, store: Store, followed: Followed): Promise<boolean> {
    const world = this.#world;
    const read = { process, after: followed.through, began: world.step, calledAt: world.now };
    try {
      const result = await store.changes(type, followed.through, world.dice.chance(0.3) ? 2 : undefined);
      this.history.reads.push({ ...read, result, ended: world.step, endedAt: world.now });
      followed.changes.push(...result.changes);
      followed.through = result.through;
      return true;
    } catch (error) {
      if (!(error instanceof Compacted)) throw error;
      this.history.reads.push({ ...read, result: error, ended: world.step, endedAt: world.now });
      return false;
    }
  }

  #startCache(count: number): void {
    this.#world.spawn("cache", async (process) => {
      const { store } = this.#open(process);
      const cache = await openCache({ store, type, clock: process.clock, live: false });
      this.#followCache(cache);
      for (let round = 0; round < count; round++) {
        await sleep(process.clock, this.#world.dice.below(2000));
        const acknowledged = this.#acknowledged;
        try {
          await cache.catchUp();
          this.history.caughtUp.push({ acknowledged, revision: cache.revision, page: cache.list() });
        } catch (error) {
          this.#world.note(`cache: ${error}`);
        }
      }
      cache.close();
    });
  }

  #followCache(cache: Cache): void {
    const followed: Followed = { start: cache.revision, through: cache.revision, changes: [] };
    this.history.followed.push(followed);
    cache.follow(
      followed.start,
      (changes, through) => {
        followed.changes.push(...changes);
        followed.through = through;
      },
      (error) => {
        if (error instanceof Compacted) this.#followCache(cache);
      },
    );
  }

  #startTicker(count: number): void {
    const { dice } = this.#world;
    this.#world.spawn("ticker", async (process) => {
      const { store, tick } = this.#open(process);
      for (let round = 0; round < count; round++) {
        await sleep(process.clock, dice.below(2500));
        const roll = dice.fraction();
        try {
          if (tick && roll < 0.5) await tick(roll);
          else await store.compact(type, (await store.head(type)) - dice.below(4));
        } catch (error) {
          this.#world.note(`ticker: ${error}`);
        }
      }
    });
  }
}

function noteOf({ type, text, result }: WriteAttempt): string {
  if (result instanceof Error) return `${type} ${text}: ${result.name}`;
  return `${type} ${text}: ${typeof result === "string" ? result : result.revision}`;
}
