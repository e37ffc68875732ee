import { describe, expect, it } from "vitest";
import { serviceUnavailable, systemClock } from "#base";
import { Compacted, openCache } from "#store";
import { create, remove, textOf, update } from "#store/conformance";
import { memoryStore } from "#store/memory";
import { handClock } from "#test/make";
import { breakable } from "./testing/breakable.ts";
import { lost, recorder, revisions, turn } from "./testing/followers.ts";

const type = "things";
const clock = systemClock;

const numbered = (count: number, name = "n") => Array.from({ length: count }, (_, index) => create(`${name}/${index}`));

describe("a cache", () => {
  it("starts with the existing objects and follows changes", async () => {
    const store = memoryStore();
    await store.commit(type, [create("b/1"), create("a/1")]);
    const cache = await openCache({ store, type, clock });
    expect(cache.revision).toBe(3);
    expect(cache.list().entries.map((entry) => entry.key)).toEqual(["a/1", "b/1"]);
    await store.commit(type, [create("a/2"), update("a/1", 3, "new"), remove("b/1", 2)]);
    await cache.catchUp();
    expect(cache.revision).toBe(6);
    const page = cache.list({ prefix: "a/", limit: 1 });
    expect(page).toMatchObject({ revision: 6, remaining: 1, more: true });
    expect(page.entries.map(textOf)).toEqual(["new@5"]);
    expect(cache.get("b/1")).toBeUndefined();
    expect(cache.list({ after: "a/1" }).entries.map((entry) => entry.key)).toEqual(["a/2"]);
    cache.close();
  });

  it("shares entries between its state and the changes of all followers", async () => {
    const store = memoryStore();
    const cache = await openCache({ store, type, clock });
    const [one, two] = [recorder(), recorder()];
    cache.follow(1, one.listener, lost);
    cache.follow(1, two.listener, lost);
    await store.commit(type, [create("a/1")]);
    await cache.catchUp();
    const before = cache.get("a/1")!;
    await store.commit(type, [update("a/1", 2)]);
    await cache.catchUp();
    expect(one.told.seen[0]!.entry).toBe(before);
    expect(one.told.seen[1]!.previous).toBe(before);
    expect(cache.get("a/1")).toBe(one.told.seen[1]!.entry);
    expect(two.told.seen[1]).toBe(one.told.seen[1]);
    cache.close();
  });

  it("finds the dependents of an owner", async () => {
    const store = memoryStore();
    const of = (...owners: string[]) => ({ uid: "u", owners });
    await store.commit(type, [create("a/1", "", of("x")), create("a/2", "", of("x", "y")), create("a/3")]);
    const cache = await openCache({ store, type, clock });
    const owned = (uid: string) => cache.owned(uid).map((entry) => `${entry.key}@${entry.revision}`);
    expect(owned("x")).toEqual(["a/1@2", "a/2@3"]);
    await store.commit(type, [update("a/2", 3, "", of("y")), remove("a/1", 2), update("a/3", 4, "", of("x"))]);
    await cache.catchUp();
    expect(owned("x")).toEqual(["a/3@7"]);
    expect(owned("y")).toEqual(["a/2@5"]);
    expect(owned("z")).toEqual([]);
    cache.close();
  });

  it("serves earlier snapshots as far as its window reaches", async () => {
    const store = memoryStore();
    const cache = await openCache({ store, type, clock, window: 4 });
    await store.commit(type, [create("a/1"), create("a/2")]);
    await store.commit(type, [update("a/1", 2, "new"), remove("a/2", 3)]);
    await cache.catchUp();
    expect(cache.listAt(3)!.entries.map(textOf)).toEqual(["a/1@2", "a/2@3"]);
    expect(cache.listAt(4)!.entries.map(textOf)).toEqual(["new@4", "a/2@3"]);
    expect(cache.listAt(5)!.entries.map(textOf)).toEqual(["new@4"]);
    expect(cache.listAt(6)).toBeUndefined();
    await store.commit(type, numbered(20));
    await cache.catchUp();
    expect(cache.listAt(5)).toBeUndefined();
    cache.close();
  });
});

describe("a cache in trouble", () => {
  it("loads the type again when the log was compacted under it, and fails followers that miss changes", async () => {
    const { store, broken } = breakable();
    await store.commit(type, [create("a/1"), create("a/2")]);
    const cache = await openCache({ store, type, clock });
    const untouched = cache.get("a/2");
    const [behind, ahead] = [recorder(), recorder()];
    cache.follow(3, behind.listener, behind.onLost);
    cache.follow(5, ahead.listener, ahead.onLost);
    await turn();
    broken.changed = true;
    broken.changes = new Compacted(3, 4);
    await store.commit(type, [update("a/1", 2, "new"), create("a/3")]);
    await cache.catchUp();
    expect(cache.revision).toBe(5);
    expect(cache.list().entries.map(textOf)).toEqual(["new@4", "a/2@3", "a/3@5"]);
    expect(cache.get("a/2")).toBe(untouched);
    expect(behind.told.error).toBeInstanceOf(Compacted);
    expect(behind.told.seen).toEqual([]);
    expect(ahead.told.error).toBeUndefined();
    broken.changes = undefined;
    await store.commit(type, [create("a/4")]);
    await cache.catchUp();
    expect(revisions(ahead.told.seen)).toEqual([6]);
    cache.close();
  });

  it("rejects pending reads when the store fails, and retries", async () => {
    const { store, broken } = breakable();
    const manual = handClock();
    const cache = await openCache({ store, type, clock: manual });
    const { told, listener } = recorder();
    cache.follow(1, listener, lost);
    broken.changes = serviceUnavailable("the disk is gone");
    await store.commit(type, [create("a/1")]);
    await turn();
    expect(broken.reads).toBe(1);
    await manual.forward(99);
    expect(broken.reads).toBe(1);
    await manual.forward(1);
    expect(broken.reads).toBe(2);
    await expect(cache.catchUp()).rejects.toThrow("the disk is gone");
    broken.changes = undefined;
    await manual.forward(5000);
    expect(cache.revision).toBe(2);
    expect(told.seen).toHaveLength(1);
    cache.close();
  });

  it("reads the log only on demand unless it is live", async () => {
    const { store, broken } = breakable();
    const cache = await openCache({ store, type, clock, live: false });
    await store.commit(type, [create("a/1")]);
    await turn();
    expect(broken.reads).toBe(0);
    await cache.catchUp();
    expect(cache.revision).toBe(2);
    const { told, listener } = recorder();
    const stop = cache.follow(2, listener, lost);
    await store.commit(type, [create("a/2")]);
    await turn();
    expect(told.seen).toHaveLength(1);
    stop();
    await store.commit(type, [create("a/3")]);
    await turn();
    const { reads } = broken;
    await store.commit(type, [create("a/4")]);
    await turn();
    expect(broken.reads).toBe(reads);
    await cache.catchUp();
    expect(cache.revision).toBe(5);
    cache.close();
  });
});
