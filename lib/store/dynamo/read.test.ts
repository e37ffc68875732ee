import { describe, expect, it } from "vitest";
import { Compacted } from "#store";
import { create, entryOf, update } from "#store/conformance";
import { handClock } from "#test/make";
import type { Dynamo } from "./client.ts";
import { openStand } from "./testing/stage.ts";

const start = Date.parse("2026-01-01T00:00:00Z");

const type = "things";
const hour = 3_600_000;

/** A writer that dies between its ticket and its transaction. */
const dying = (dynamo: Dynamo): Dynamo => ({ ...dynamo, transact: () => new Promise(() => {}) });

describe("a reader at a hole", () => {
  it("stops, waits for a second, fills the hole and continues", async () => {
    const clock = handClock(start);
    const { store, another, dynamo } = openStand({ clock });
    await store.commit(type, [create("ns/a")]);
    void another(dying(dynamo)).commit(type, [create("ns/dead")]);
    await clock.forward(0);
    await clock.forward(0);
    await store.commit(type, [create("ns/b")]);
    expect(await store.changes(type, 1)).toMatchObject({ changes: [{ revision: 2 }], through: 2 });
    await clock.forward(1100);
    expect(await store.changes(type, 1)).toMatchObject({ changes: [{ revision: 2 }, { revision: 4 }], through: 4 });
    expect((await store.list(type)).revision).toBe(4);
  });

  it("fills a hole at the end, which no later slot dates", async () => {
    const clock = handClock(start);
    const { store, another, dynamo } = openStand({ clock });
    await store.commit(type, [create("ns/a")]);
    void another(dying(dynamo)).commit(type, [create("ns/dead")]);
    await clock.forward(0);
    await clock.forward(0);
    expect((await store.changes(type, 1)).through).toBe(2);
    await clock.forward(1100);
    expect((await store.changes(type, 1)).through).toBe(3);
  });

  it("is delayed briefly by a hole when it lists", async () => {
    const clock = handClock(start);
    const { store, another, dynamo } = openStand({ clock });
    await store.commit(type, [create("ns/a")]);
    void another(dying(dynamo)).commit(type, [create("ns/dead")]);
    await clock.forward(0);
    await clock.forward(0);
    const listing = store.list(type);
    for (let step = 0; step < 60; step++) await clock.forward(25);
    expect(await listing).toMatchObject({ revision: 3, entries: [{ key: "ns/a" }] });
  });

  it("fails with Compacted when a slot at its position may have expired", async () => {
    const clock = handClock(start);
    const { store, double, another } = openStand({ clock });
    await store.commit(type, [create("ns/a")]);
    await store.commit(type, [create("ns/b")]);
    await clock.forward(25 * hour);
    await store.commit(type, [update("ns/a", 2)]);
    double.expire(1);
    await expect(another().changes(type, 2)).rejects.toBeInstanceOf(Compacted);
    expect((await another().changes(type, 3)).changes.map((change) => change.revision)).toEqual([4]);
    expect((await another().list(type)).entries.map((entry) => entry.revision)).toEqual([4, 3]);
  });

  it("does not read slots older than half their lifetime", async () => {
    const clock = handClock(start);
    const { store } = openStand({ clock });
    await store.commit(type, [create("ns/a")]);
    await clock.forward(11 * hour);
    expect((await store.changes(type, 1)).changes).toHaveLength(1);
    await clock.forward(2 * hour);
    await expect(store.changes(type, 1)).rejects.toBeInstanceOf(Compacted);
    expect(await store.changes(type, 2)).toEqual({ changes: [], through: 2 });
  });
});

describe("a list", () => {
  it("trusts no revision of a client, only those that were seen without holes", async () => {
    const clock = handClock(start);
    const { store, another, dynamo } = openStand({ clock });
    await store.commit(type, [create("ns/a")]);
    const release = Promise.withResolvers<void>();
    const slow = another({
      ...dynamo,
      transact: async (input) => {
        await release.promise;
        return dynamo.transact(input);
      },
    });
    const late = slow.commit(type, [create("ns/late")]);
    await clock.forward(0);
    await clock.forward(0);
    await store.commit(type, [create("ns/b")]);
    // A client that has read ns/b continues from there, while an earlier ticket is still in flight.
    const reader = another();
    expect(await reader.changes(type, 4)).toEqual({ changes: [], through: 4 });
    await clock.forward(11_000);
    const listing = reader.list(type);
    await clock.forward(0);
    await clock.forward(0);
    release.resolve();
    for (let step = 0; step < 10; step++) await clock.forward(100);
    const [entry] = await late;
    const page = await listing;
    const isIn = page.entries.some(({ key }) => key === "ns/late");
    expect(isIn).toBe(entryOf(entry).revision <= page.revision);
  });
});

describe("the sweep", () => {
  it("raises the floor over changes that are older than an hour, and no others", async () => {
    const clock = handClock(start);
    const { store } = openStand({ clock });
    await store.commit(type, [create("ns/a"), create("ns/b")]);
    await clock.forward(hour / 2);
    await store.commit(type, [create("ns/c")]);
    await store.sweep(type);
    expect((await store.changes(type, 1)).changes).toHaveLength(3);
    await clock.forward(hour / 2 + 60_000);
    await store.sweep(type);
    await expect(store.changes(type, 2)).rejects.toMatchObject({ floor: 3 });
    expect((await store.changes(type, 3)).changes.map((change) => change.key)).toEqual(["ns/c"]);
    await clock.forward(hour);
    await store.sweep(type);
    await expect(store.changes(type, 3)).rejects.toMatchObject({ floor: 4 });
  });
});

describe("a log that is spread over more shards", () => {
  it("stays one log", async () => {
    const { store, another, items } = openStand();
    const other = another();
    const made: number[] = [];
    for (const shards of [3, 2, 4]) {
      for (let index = 0; index < 8; index++) {
        const [entry] = await (index % 2 ? store : other).commit(type, [create(`ns/${made.length}`)]);
        made.push(entryOf(entry).revision);
      }
      await store.reshard(type, shards);
    }
    expect(made).toEqual(made.map((_, index) => index + 2));
    for (const reader of [store, other, another()])
      expect((await reader.changes(type, 1)).changes.map((change) => change.revision)).toEqual(made);
    const partitions = items("changes").map((slot) => slot["p"]!.S);
    expect([...new Set(partitions)].sort()).toEqual(["things#0", "things#1", "things#2"]);
  });
});
