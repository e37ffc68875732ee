import { type Clock, type Log, type Random, silentLog, sleep } from "#base";
import { type Change, type Entry, type Store, Wakeups } from "#store";
import type { Dynamo, Item } from "./client.ts";
import { type Context, persist } from "./context.ts";
import { type Head, objectPartition, raiseFloor, raiseMark, readCounter, readHead, setShards } from "./head.ts";
import { changeOf, entryOf, number, typeOfSlot } from "./items.ts";
import { listObjects } from "./list.ts";
import { changesOf, type Memory, readRun } from "./read.ts";
import { type Restored, restoreTypes, type Standing, standingsOf } from "./restore.ts";
import { type Rules, times } from "./rules.ts";
import { readSlot } from "./slots.ts";
import { isPossible } from "./sort-key.ts";
import { settledThrough, sweepType } from "./sweep.ts";
import type { TableNames } from "./tables.ts";
import { commitWrites } from "./write.ts";

export interface DynamoOptions {
  dynamo: Dynamo;
  tables: TableNames;
  clock: Clock;
  random: Random;
  log?: Log;
  /**
   * How many shards a type is born with: each takes about 1,000 write units a second, and a write costs four for each
   * KB. One unless told.
   */
  shards?: (type: string) => number;
  /** How often somebody who waits for changes looks for them, in milliseconds; 1,000 unless told. */
  poll?: number;
  /**
   * How many writes, each made because of the one before, led to the one that is made now; 0 unless told. Goes along
   * in the stream, where it wakes somebody.
   */
  hops?: () => number;
  /**
   * Hears what a commit of this process has made, before the commit resolves; the commit stands whatever becomes of
   * this, so that it should not reject.
   */
  made?: (type: string, changes: Change[]) => Promise<void>;
}

/** A record of the stream of `changes`: what was written, and after how many hops. */
export interface Streamed {
  type: string;
  change: Change;
  hops: number;
}

/** The store over DynamoDB, with what its operation needs. */
export interface DynamoStore extends Store {
  /** Raises the floor over what is older than an hour and settles what is below it. The tick calls it for each type. */
  sweep(type: string): Promise<void>;
  /** Spreads the log of a type over so many shards from now on. */
  reshard(type: string, shards: number): Promise<void>;
  /**
   * To be run once, before any other request, when both tables were restored to one instant. Revisions jump, clients
   * that go on from older ones are told that these are gone, and objects that are behind the log are brought up to it.
   */
  afterRestore(): Promise<Restored[]>;
  /** Where the logs of all types stand that have ever been written. Reads and changes nothing. */
  standings(): Promise<Standing[]>;
  /**
   * What the new image of a stream record says; undefined for what wakes nobody, and where a part of it has gone
   * already: the stream is a wake-up, the log is the truth.
   */
  streamed(image: Item): Promise<Streamed | undefined>;
}

const changesLimit = 1000;
/** How long who waits is held back while the log ends in a hole. */
const holePause = 50;

export function openDynamo(options: DynamoOptions, rules: Rules): DynamoStore {
  const { dynamo, tables, clock, random, log = silentLog, shards = () => 1, poll = 1000, hops = () => 0 } = options;
  const wakeups = new Wakeups();
  const context: Context = { dynamo, tables, clock, random, log, rules, wakeups, shards, hops };
  const memories = new Map<string, Memory>();
  const closing = new AbortController();

  const memoryOf = (type: string): Memory => {
    const memory = memories.get(type) ?? { marks: [] };
    memories.set(type, memory);
    return memory;
  };

  /** The partitions of objects never change once the type is born: no need to read their number twice. */
  const objectShards = async (type: string): Promise<number> => {
    const memory = memoryOf(type);
    if (!memory.head || memory.head.drawnAt === 0) memory.head = await readHead(context, type);
    return memory.head.objectShards;
  };

  const readItems = async (type: string, keys: string[]): Promise<Map<string, Item>> => {
    const found = new Map<string, Item>();
    const possible = keys.filter(isPossible);
    if (possible.length === 0) return found;
    const partitions = await objectShards(type);
    const all = possible.map((key) => ({ p: { S: objectPartition(type, partitions, key) }, k: { S: key } }));
    while (all.length > 0) {
      const Keys = all.splice(0, 100);
      const answer = await persist(context, () =>
        dynamo.batchGet({ RequestItems: { [tables.objects]: { Keys, ConsistentRead: true } } }),
      );
      for (const item of answer.Responses?.[tables.objects] ?? []) found.set(item["k"]!.S!, item);
      all.push(...((answer.UnprocessedKeys?.[tables.objects]?.Keys ?? []) as typeof all));
    }
    return found;
  };

  /** Lets everybody know from where on the log must be looked at. Failing is no matter: the next writer tries. */
  const renewMark = async (type: string, head: Head): Promise<void> => {
    if (clock.now() - head.markAt < times.mark) return;
    try {
      const at = clock.now();
      const run = await readRun(context, type, memoryOf(type), head.mark, { settledAreKnown: true });
      if (run.through > head.mark) await raiseMark(context, type, run.through, at);
    } catch (error) {
      log.warn("cannot renew the mark of a log", { type, error: String(error) });
    }
  };

  const untilChanged = async (type: string, after: number, signal: AbortSignal): Promise<void> => {
    let pause = new AbortController();
    const wake = () => pause.abort();
    const signals = [signal, closing.signal];
    for (const each of signals) each.addEventListener("abort", wake);
    try {
      while (!signals.some((each) => each.aborted)) {
        const counter = await readCounter(context, type);
        pause = new AbortController();
        if (signals.some((each) => each.aborted)) return;
        if (counter > after) {
          // Told again before the hole has been settled, a reader would only read it again.
          if (memoryOf(type).hole?.revision === after + 1) await sleep(clock, holePause, pause.signal);
          return;
        }
        await Promise.race([wakeups.wait(type, after, pause.signal), sleep(clock, poll, pause.signal)]);
        wake();
      }
    } finally {
      for (const each of signals) each.removeEventListener("abort", wake);
    }
  };

  return {
    get: async (type, key): Promise<Entry | undefined> => {
      const item = (await readItems(type, [key])).get(key);
      return item && entryOf(context, type, item);
    },
    head: async (type) => {
      const seen = memoryOf(type).marks.at(-1)?.revision;
      return rules.toHead || seen === undefined ? readCounter(context, type) : seen;
    },
    list: (type, options = {}) => listObjects(context, type, memoryOf(type), options),
    commit: async (type, writes) => {
      const { results, changes, head } = await commitWrites(context, type, writes, (keys) => readItems(type, keys));
      if (changes.length > 0) await options.made?.(type, changes);
      if (head) {
        wakeups.announce(type, head.counter);
        await renewMark(type, head);
      }
      return results;
    },
    changes: async (type, after, limit = changesLimit) => {
      const run = await readRun(context, type, memoryOf(type), after, { limit });
      return { changes: await changesOf(context, type, after, run), through: run.through };
    },
    changed: (type, after, signal) => untilChanged(type, after, signal),
    compact: async (type, before) => {
      const head = await readHead(context, type);
      if (before <= head.floor) return;
      const settled = await settledThrough(context, type, memoryOf(type), before);
      await raiseFloor(context, type, Math.min(before, head.counter, settled));
    },
    close: async () => {
      closing.abort();
      wakeups.close();
    },
    sweep: (type) => sweepType(context, type, memoryOf(type)),
    reshard: (type, count) => setShards(context, type, count),
    afterRestore: () => restoreTypes(context),
    standings: () => standingsOf(context),
    streamed: async (image) => {
      const type = typeOfSlot(image);
      if (image["w"] === undefined || type === undefined) return undefined;
      const find = async (revision: number) =>
        readSlot(context, type, (await readHead(context, type)).shards, revision);
      const change = await changeOf(context, type, image, find);
      return change && { type, change, hops: number(image, "w") };
    },
  };
}
