import { expect, it } from "vitest";
import { Compacted, FutureRevision } from "#store";
import type { Bench } from "./index.ts";
import { create, entryOf, lineOf, readLog, remove, textOf, update, write } from "./make.ts";

/** Reads of the log. */
function changes({ store, newType }: Bench): void {
  it("returns no changes of an empty new type", async () => {
    const type = newType();
    expect(await store().changes(type, 1)).toEqual({ changes: [], through: 1 });
  });

  it("returns every change once, in order, with the state before it", async () => {
    const type = newType();
    const a = await write(store(), type, create("ns/a", "1", { uid: "u", labels: { app: "x" } }));
    const a2 = await write(store(), type, update("ns/a", a.revision, "2", { uid: "u", labels: { app: "y" } }));
    await write(store(), type, create("ns/b", "1"));
    const a3 = await write(store(), type, remove("ns/a", a2.revision, "last"));
    await write(store(), type, create("ns/a", "again"));
    const log = await readLog(store(), type, 1);
    expect(log.map(lineOf).map((line) => line.replaceAll(/@\d+/g, ""))).toEqual([
      "create ns/a 1",
      "update ns/a 2 from 1",
      "create ns/b 1",
      "delete ns/a last from 2",
      "create ns/a again",
    ]);
    expect(log[0]!.entry).toEqual(a);
    expect(log[0]).not.toHaveProperty("previous");
    expect(log[1]!.previous).toEqual(a);
    expect(log[1]!.entry).toEqual(a2);
    expect(log[3]!.entry).toEqual(a3);
    expect(log[3]!.previous).toEqual(a2);
    for (const change of log) expect(change.revision).toBe(change.entry.revision);
  });

  it("continues from any revision, in pages of about the limit", async () => {
    const type = newType();
    const entries = (
      await store().commit(
        type,
        Array.from({ length: 30 }, (_, index) => create(`ns/${index}`)),
      )
    ).map(entryOf);
    for (const after of [1, entries[3]!.revision, entries[28]!.revision, entries[29]!.revision]) {
      const expected = entries.filter((entry) => entry.revision > after).map((entry) => entry.revision);
      expect((await readLog(store(), type, after, 7)).map((change) => change.revision)).toEqual(expected);
      expect((await readLog(store(), type, after)).map((change) => change.revision)).toEqual(expected);
    }
    let piece = await store().changes(type, 1, 7);
    // A page may hold only revisions that were given up.
    while (piece.changes.length === 0) piece = await store().changes(type, piece.through, 7);
    expect(piece.changes.length).toBeLessThan(30);
    expect(piece.through).toBeGreaterThanOrEqual(piece.changes.at(-1)!.revision);
    expect(piece.through).toBeLessThan(entries[29]!.revision);
  });

  it("refuses to continue from a future revision", async () => {
    const type = newType();
    const { revision } = await write(store(), type, create("ns/a"));
    await expect(store().changes(type, revision + 1000)).rejects.toBeInstanceOf(FutureRevision);
  });
}

/** Waits for changes. */
function waits({ store, newType }: Bench): void {
  it("resolves a wait when a change is written", async () => {
    const type = newType();
    const { revision } = await write(store(), type, create("ns/a"));
    await store().changed(type, 1, new AbortController().signal);
    const waiting = store().changed(type, revision, new AbortController().signal);
    const next = await write(store(), type, create("ns/b"));
    await waiting;
    expect((await readLog(store(), type, revision)).map((change) => change.revision)).toEqual([next.revision]);
  });

  it("resolves a wait when the signal aborts", async () => {
    const type = newType();
    const controller = new AbortController();
    const waiting = store().changed(type, 1, controller.signal);
    controller.abort();
    await waiting;
    await store().changed(type, 1, AbortSignal.abort());
  });
}

/** Followers beside concurrent writers. */
function followers({ store, newType }: Bench): void {
  it("delivers every change of concurrent writers once and in order", async () => {
    const type = newType();
    const total = 60;
    const seen: number[] = [];
    const follow = async () => {
      let at = 1;
      while (seen.length < total) {
        await store().changed(type, at, new AbortController().signal);
        const { changes, through } = await store().changes(type, at);
        seen.push(...changes.map((change) => change.revision));
        expect(through).toBeGreaterThanOrEqual(at);
        at = through;
      }
    };
    const following = follow();
    const writer = async (name: number) => {
      const made: number[] = [];
      for (let index = 0; index < total / 4; index++)
        made.push((await write(store(), type, create(`ns/${name}-${index}`))).revision);
      return made;
    };
    const made = (await Promise.all([0, 1, 2, 3].map(writer))).flat();
    await following;
    expect(seen).toEqual(made.sort((a, b) => a - b));
  });
}

/** What compaction leaves. */
function compaction({ store, newType }: Bench): void {
  it("drops changes below the floor and keeps the rest", async () => {
    const type = newType();
    const a = await write(store(), type, create("ns/a", "1"));
    const b = await write(store(), type, create("ns/b", "1"));
    const a2 = await write(store(), type, update("ns/a", a.revision, "2"));
    await store().compact(type, a2.revision);
    const a3 = await write(store(), type, update("ns/a", a2.revision, "3"));
    const gone = await write(store(), type, remove("ns/b", b.revision, "last"));
    await expect(store().changes(type, a.revision)).rejects.toBeInstanceOf(Compacted);
    await expect(store().changes(type, b.revision)).rejects.toMatchObject({ floor: a2.revision });
    const log = await readLog(store(), type, a2.revision);
    expect(log.map((change) => change.revision)).toEqual([a3.revision, gone.revision]);
    // The states before these changes were written below the floor.
    expect(textOf(log[0]!.previous!)).toBe(`2@${a2.revision}`);
    expect(textOf(log[1]!.previous!)).toBe(`1@${b.revision}`);
    expect(await store().get(type, "ns/a")).toEqual(a3);
    const page = await store().list(type, { at: a2.revision });
    expect(page.entries.map(textOf)).toEqual([`2@${a2.revision}`, `1@${b.revision}`]);
  });

  it("keeps every object and its history above the floor through many compactions", async () => {
    const type = newType();
    const still = await write(store(), type, create("ns/still", "0"));
    let moving = await write(store(), type, create("ns/moving", "0"));
    for (let round = 1; round <= 6; round++) {
      const floor = await store().head(type);
      const before = textOf(moving);
      moving = await write(store(), type, update("ns/moving", moving.revision, String(round)));
      const short = await write(store(), type, create("ns/short"));
      await write(store(), type, remove("ns/short", short.revision));
      await store().compact(type, floor);
      const log = await readLog(store(), type, floor);
      expect(log.map((change) => change.key)).toEqual(["ns/moving", "ns/short", "ns/short"]);
      expect(textOf(log[0]!.previous!)).toBe(before);
      expect((await store().list(type)).entries).toEqual([moving, still]);
      expect((await store().list(type, { at: floor })).entries.map(textOf)[0]).toBe(before);
      await store().compact(type, await store().head(type));
    }
    expect(await readLog(store(), type, await store().head(type))).toEqual([]);
    expect(await store().get(type, "ns/still")).toEqual(still);
  });

  it("never lowers the floor and never raises it above the head", async () => {
    const type = newType();
    const a = await write(store(), type, create("ns/a"));
    const b = await write(store(), type, create("ns/b"));
    await store().compact(type, b.revision);
    await store().compact(type, a.revision);
    await expect(store().changes(type, a.revision)).rejects.toBeInstanceOf(Compacted);
    await store().compact(type, b.revision + 1_000_000);
    const c = await write(store(), type, create("ns/c"));
    const head = await store().head(type);
    expect(c.revision).toBeLessThan(b.revision + 1_000_000);
    expect(head).toBeLessThan(b.revision + 1_000_000);
    const page = await store().list(type);
    expect(page.entries.map((entry) => entry.key)).toEqual(["ns/a", "ns/b", "ns/c"]);
    expect(await store().changes(type, page.revision)).toEqual({ changes: [], through: page.revision });
  });
}

/** The log: order, previous states, waiting, compaction. */
export function changing(bench: Bench): void {
  changes(bench);
  waits(bench);
  followers(bench);
  compaction(bench);
}
