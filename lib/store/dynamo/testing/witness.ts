import type { TransactWriteItem } from "@aws-sdk/client-dynamodb";
import { Compacted } from "#store";
import type { History, LogRead, Process, TrueChange, Truth, World } from "#store/model";
import type { Item } from "../client.ts";
import { isTombstone, isVoid, number, revisionOf } from "../items.ts";
import { times } from "../rules.ts";
import { tables } from "../tables.ts";
import type { Witness } from "./double.ts";

const verbs = { c: "create", u: "update", d: "delete" } as const;
const decoder = new TextDecoder();

/** Records every write to the two tables, and reports what no rule allows. */
export class TableWitness implements Witness {
  readonly #world: World;
  readonly #slots = new Map<number, Item>();
  readonly #objects = new Map<string, number>();
  readonly #states: NonNullable<Truth["states"]> = new Map();
  readonly #floors: { step: number; floor: number }[] = [{ step: 0, floor: 0 }];
  readonly #queries: { step: number; process: Process }[] = [];
  readonly #tokens = new Map<string, string>();
  /** The revisions with which each write was sent, by its text, and when each slot was first filled. */
  readonly #tickets = new Map<string, Set<number>>();
  readonly #filledAt = new Map<number, number>();
  readonly #began: number;
  #counter = 1;
  readonly faults: string[] = [];

  constructor(world: World) {
    this.#world = world;
    this.#began = world.now;
  }

  wrote(table: string, key: Item, item: Item | undefined): void {
    if (table === "changes") this.#wroteSlot(item!);
    else if (key["p"]!.S!.startsWith("type#")) this.#wroteHead(item!);
    else this.#wroteObject(key["k"]!.S!, item);
  }

  queried(process: Process, table: string, step: number): void {
    if (table === "changes") this.#queries.push({ step, process });
  }

  sent(token: string | undefined, writes: TransactWriteItem[]): void {
    for (const { Put } of writes) {
      const slot = Put?.Item;
      if (!slot?.["x"]) continue;
      const { text, revision } = changeOf(slot);
      this.#tickets.set(text, (this.#tickets.get(text) ?? new Set()).add(revision));
    }
    const content = writes.flatMap(({ Put }) => Put?.Item?.["x"]?.S ?? []).join();
    const before = this.#tokens.get(content);
    if (before !== undefined && before !== (token ?? ""))
      this.faults.push("the same transaction was sent with another token");
    if (before !== undefined && token === undefined) this.faults.push("a transaction was sent twice without a token");
    this.#tokens.set(content, token ?? "");
  }

  truth(): Truth {
    const log = [...this.#slots.values()]
      .filter((slot) => !isVoid(slot))
      .sort((a, b) => revisionOf(a) - revisionOf(b))
      .map(changeOf);
    return { log, objects: this.#objects, states: this.#states, faults: this.faults };
  }

  /** A writer that has its answer leaves no empty slot behind. */
  checkSlots({ writes }: History): string[] {
    const faults: string[] = [];
    for (const { text, span, result } of writes) {
      if (result === "unknown") continue;
      for (const revision of this.#tickets.get(text) ?? [])
        if (!((this.#filledAt.get(revision) ?? Number.POSITIVE_INFINITY) <= span.ended))
          faults.push(`${text} was answered while the slot ${revision} that it gave up was empty`);
    }
    return faults;
  }

  /** Checks reads of the log against the tables. */
  checkReads({ reads }: History): string[] {
    const faults: string[] = [];
    for (const read of reads) {
      const { process, after, began, ended, calledAt, result } = read;
      if (result instanceof Compacted) {
        if (!this.#mayBeGone(read)) faults.push(`a read after ${after} was refused for no reason`);
        continue;
      }
      const queried = this.#queries.findLast(
        (query) => query.process === process && query.step <= ended && query.step >= began,
      );
      const floor = this.#floors.findLast(({ step }) => step < (queried?.step ?? began))!.floor;
      if (after < floor) faults.push(`a read after ${after} was answered below the floor ${floor}`);
      for (const { revision } of result.changes) {
        const age = calledAt - number(this.#slots.get(revision)!, "t");
        if (age > times.readable + 1000) faults.push(`a read was shown revision ${revision}, ${age} ms old`);
      }
    }
    return faults;
  }

  /** A position is lost only to the floor, to age, or where a hole may be an expired slot. */
  #mayBeGone({ after, began, ended, endedAt }: LogRead): boolean {
    if (this.#floors.some(({ step, floor }) => step <= ended && floor > after)) return true;
    const isOld = (at: number) => endedAt - at > times.readable;
    for (const [revision, slot] of this.#slots) if (revision > after && isOld(number(slot, "t"))) return true;
    // A reader before a hole, without a fresh slot at its position, cannot know.
    const own = this.#slots.get(after);
    const writtenAt = own ? number(own, "t") : after <= 1 ? this.#began : 0;
    if (!isOld(writtenAt)) return false;
    for (let revision = after + 1; revision <= this.#counter; revision++)
      if (!((this.#filledAt.get(revision) ?? Number.POSITIVE_INFINITY) <= began)) return true;
    return false;
  }

  #wroteSlot(slot: Item): void {
    const revision = revisionOf(slot);
    if (!this.#filledAt.has(revision)) this.#filledAt.set(revision, this.#world.step);
    const old = this.#slots.get(revision);
    if (old && !isVoid(slot)) this.faults.push(`slot ${revision} was ${old["v"]!.S} and is ${slot["v"]!.S} now`);
    const { floor } = this.#floors.at(-1)!;
    if (!isVoid(slot) && revision <= floor)
      this.faults.push(`revision ${revision} was written below the floor ${floor}`);
    if (!old || !isVoid(slot)) this.#slots.set(revision, slot);
    const what = isVoid(slot) ? "void" : `${slot["v"]!.S} ${slot["k"]!.S} ${decoder.decode(slot["b"]!.B)}`;
    this.#world.note(`slot ${revision}: ${what}`);
  }

  #wroteHead(item: Item): void {
    if (item["k"]!.S === "counter") this.#counter = number(item, "c");
    if (item["k"]!.S === "floor") this.#floors.push({ step: this.#world.step, floor: number(item, "f") });
  }

  #wroteObject(key: string, item: Item | undefined): void {
    const states = this.#states.get(key) ?? [];
    this.#states.set(key, states);
    const last = states.at(-1)?.revision ?? 0;
    const revision = item ? revisionOf(item) : 0;
    if (item && !isTombstone(item) && revision <= last) this.faults.push(`${key} went from ${last} to ${revision}`);
    const isLive = item !== undefined && !isTombstone(item);
    states.push({ step: this.#world.step, revision: isLive ? revision : 0 });
    if (isLive) this.#objects.set(key, revision);
    else this.#objects.delete(key);
    this.#world.note(`object ${key}: ${isLive ? revision : "gone"}`);
  }
}

function changeOf(slot: Item): TrueChange {
  const text = decoder.decode(slot["b"]!.B).split("@")[0]!;
  const type = verbs[slot["v"]!.S as keyof typeof verbs];
  return { revision: revisionOf(slot), type, key: slot["k"]!.S!, text, previous: number(slot, "q") };
}

export const sortKeys = { objects: tables.objects.sortKey.name, changes: tables.changes.sortKey.name };
