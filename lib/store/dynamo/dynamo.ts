import { type Clock, type Log, messageOf, type Random, silentLog, sleep } from "#base";
import {
  type Change,
  type Commit,
  type Entry,
  type ListOptions,
  type Page,
  type Store,
  Wakeups,
  type Write,
} from "#store";
import type { Dynamo, Item } from "./client.ts";
import { type Context, persist } from "./context.ts";
import { type Head, objectPartition, raiseFloor, raiseSettled, readCounter, readHead, setShards } from "./head.ts";
import { changeOf, entryOf, number, typeOfSlot } from "./items.ts";
import { listObjects } from "./list.ts";
import { changesOf, type Memory, readRun } from "./read.ts";
import { type LogPosition, positionsOf, type Restored, restoreTypes } from "./restore.ts";
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
   * How many shards the log of a new type has: each takes about 1,000 write units a second, and a write costs four for
   * each KB. Defaults to 1.
   */
  shards?: (type: string) => number;
  /** How often `changed` polls the log, in milliseconds. Defaults to 1,000. */
  poll?: number;
  /**
   * The number of writes, each caused by the one before, that led to the current one. It is part of the stream record
   * of writes that wake a function. Defaults to 0.
   */
  hops?: () => number;
  /**
   * Called with the changes of a commit of this process, before the commit resolves. It should not reject: the changes
   * are stored whatever it does.
   */
  onCommit?: (type: string, changes: Change[]) => Promise<void>;
}

/** A record of the stream of `changes`: the change, and how many writes led to it. */
export interface Streamed {
  type: string;
  change: Change;
  hops: number;
}

/** The store over DynamoDB, with the operations of its maintenance. */
export interface DynamoStore extends Store {
  /** Raises the floor above changes older than an hour and settles those below it. `tick` calls it for each type. */
  sweep(type: string): Promise<void>;
  /** Spreads the log of a type over this many shards from now on. */
  reshard(type: string, shards: number): Promise<void>;
  /**
   * Runs once, before any other request, after both tables were restored to one instant. Revisions jump, requests with
   * older ones fail with Compacted, and objects that are behind the log are brought up to it.
   */
  afterRestore(): Promise<Restored[]>;
  /** The positions of the logs of all types that have ever been written. */
  positions(): Promise<LogPosition[]>;
  /**
   * The change in the new image of a stream record; undefined for records that wake no function, and where a part of
   * the change is gone already: the stream only wakes, the log is the truth.
   */
  streamed(image: Item): Promise<Streamed | undefined>;
}

const changesLimit = 1000;
/** How long a reader is held back while the log ends in a hole, in milliseconds. */
const holePause = 50;

/** Opens the store. `rules` are those of the protocol, of which the model checker breaks one at a time. */
export const openDynamo = (options: DynamoOptions, rules: Rules): DynamoStore => new Driver(options, rules);

class Driver implements DynamoStore {
  readonly #context: Context;
  readonly #poll: number;
  readonly #onCommit: DynamoOptions["onCommit"];
  readonly #memories = new Map<string, Memory>();
  readonly #closing = new AbortController();

  constructor(options: DynamoOptions, rules: Rules) {
    const { dynamo, tables, clock, random, log = silentLog, shards = () => 1, poll = 1000, hops = () => 0 } = options;
    this.#context = { dynamo, tables, clock, random, log, rules, wakeups: new Wakeups(), shards, hops };
    this.#poll = poll;
    this.#onCommit = options.onCommit;
  }

  async get(type: string, key: string): Promise<Entry | undefined> {
    const item = (await this.#readItems(type, [key])).get(key);
    return item && entryOf(this.#context, type, item);
  }

  async head(type: string): Promise<number> {
    const seen = this.#memoryOf(type).wholeThrough.at(-1)?.revision;
    return this.#context.rules.toHead || seen === undefined ? readCounter(this.#context, type) : seen;
  }

  list(type: string, options: ListOptions = {}): Promise<Page> {
    return listObjects(this.#context, type, this.#memoryOf(type), options);
  }

  async commit(type: string, writes: Write[]): Promise<Commit[]> {
    const read = (keys: string[]) => this.#readItems(type, keys);
    const { results, changes, head } = await commitWrites(this.#context, type, writes, read);
    if (changes.length > 0) await this.#onCommit?.(type, changes);
    if (head) {
      this.#context.wakeups.announce(type, head.counter);
      await this.#renewMark(type, head);
    }
    return results;
  }

  async changes(type: string, after: number, limit = changesLimit): Promise<{ changes: Change[]; through: number }> {
    const run = await readRun(this.#context, type, this.#memoryOf(type), after, { limit });
    return { changes: await changesOf(this.#context, type, after, run), through: run.through };
  }

  async changed(type: string, after: number, signal: AbortSignal): Promise<void> {
    const { clock, wakeups } = this.#context;
    let pause = new AbortController();
    const wake = () => pause.abort();
    const signals = [signal, this.#closing.signal];
    for (const each of signals) each.addEventListener("abort", wake);
    try {
      while (!signals.some((each) => each.aborted)) {
        const counter = await readCounter(this.#context, type);
        pause = new AbortController();
        if (signals.some((each) => each.aborted)) return;
        if (counter > after) {
          // Resolved before the hole has been settled, the reader would only read the hole again.
          if (this.#memoryOf(type).hole?.revision === after + 1) await sleep(clock, holePause, pause.signal);
          return;
        }
        await Promise.race([wakeups.wait(type, after, pause.signal), sleep(clock, this.#poll, pause.signal)]);
        wake();
      }
    } finally {
      for (const each of signals) each.removeEventListener("abort", wake);
    }
  }

  async compact(type: string, before: number): Promise<void> {
    const head = await readHead(this.#context, type);
    if (before <= head.floor) return;
    const settled = await settledThrough(this.#context, type, this.#memoryOf(type), before);
    await raiseFloor(this.#context, type, Math.min(before, head.counter, settled));
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#context.wakeups.close();
  }

  sweep(type: string): Promise<void> {
    return sweepType(this.#context, type, this.#memoryOf(type));
  }

  reshard(type: string, count: number): Promise<void> {
    return setShards(this.#context, type, count);
  }

  afterRestore(): Promise<Restored[]> {
    return restoreTypes(this.#context);
  }

  positions(): Promise<LogPosition[]> {
    return positionsOf(this.#context);
  }

  async streamed(image: Item): Promise<Streamed | undefined> {
    const type = typeOfSlot(image);
    if (image["w"] === undefined || type === undefined) return undefined;
    const find = async (revision: number) =>
      readSlot(this.#context, type, (await readHead(this.#context, type)).shards, revision);
    const change = await changeOf(this.#context, type, image, find);
    return change && { type, change, hops: number(image, "w") };
  }

  #memoryOf(type: string): Memory {
    const memory = this.#memories.get(type) ?? { wholeThrough: [] };
    this.#memories.set(type, memory);
    return memory;
  }

  /** The partitions of a type's objects never change once the type exists: their number is read once. */
  async #objectShards(type: string): Promise<number> {
    const memory = this.#memoryOf(type);
    if (!memory.head || memory.head.drawnAt === 0) memory.head = await readHead(this.#context, type);
    return memory.head.objectShards;
  }

  async #readItems(type: string, keys: string[]): Promise<Map<string, Item>> {
    const { dynamo, tables } = this.#context;
    const found = new Map<string, Item>();
    const possible = keys.filter(isPossible);
    if (possible.length === 0) return found;
    const partitions = await this.#objectShards(type);
    const all = possible.map((key) => ({ p: { S: objectPartition(type, partitions, key) }, k: { S: key } }));
    while (all.length > 0) {
      const Keys = all.splice(0, 100);
      const answer = await persist(this.#context, () =>
        dynamo.batchGet({ RequestItems: { [tables.objects]: { Keys, ConsistentRead: true } } }),
      );
      for (const item of answer.Responses?.[tables.objects] ?? []) found.set(item["k"]!.S!, item);
      all.push(...((answer.UnprocessedKeys?.[tables.objects]?.Keys ?? []) as typeof all));
    }
    return found;
  }

  /** Publishes the revision from which readers have to read the log. A failure does no harm: the next writer tries. */
  async #renewMark(type: string, head: Head): Promise<void> {
    const { clock, log } = this.#context;
    if (clock.now() - head.settledAt < times.settledRenewal) return;
    try {
      const at = clock.now();
      const run = await readRun(this.#context, type, this.#memoryOf(type), head.settledThrough, {
        settledAreKnown: true,
      });
      if (run.through > head.settledThrough) await raiseSettled(this.#context, type, run.through, at);
    } catch (error) {
      log.warn("cannot record how far a log is settled", { type, error: messageOf(error) });
    }
  }
}
