import { describe, expect, it } from "vitest";
import { systemClock } from "#base";
import { type Change, Compacted, forwardTo, openCache, type Store } from "#store";
import { create } from "#store/conformance";
import { memoryStore } from "#store/memory";
import { breakable } from "./testing/breakable.ts";
import { lost, recorder, revisions, turn } from "./testing/followers.ts";

const type = "things";
const clock = systemClock;

const numbered = (count: number, name = "n") => Array.from({ length: count }, (_, index) => create(`${name}/${index}`));

/** A follower that pauses after each page until it takes it. */
const taker = () => {
  const seen: Change[] = [];
  const pages: number[] = [];
  let room = Promise.withResolvers<void>();
  return {
    seen,
    pages,
    listener: (changes: Change[]) => {
      seen.push(...changes);
      pages.push(changes.length);
      return room.promise;
    },
    take: async () => {
      room.resolve();
      room = Promise.withResolvers();
      await turn();
    },
  };
};
/** Creates whose bodies fill a page with a dozen of them. */
const largeOnes = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, at) => create(`large/${from + at}`, "x".repeat(5000)));
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

describe("a follower", () => {
  it("receives every change once and in order, wherever it starts", async () => {
    const store = memoryStore();
    await store.commit(type, numbered(30, "before"));
    const cache = await openCache({ store, type, clock, window: 8 });
    await store.commit(type, numbered(15, "window"));
    await cache.catchUp();
    const followers = range(1, 46).map((after) => {
      const follower = recorder();
      cache.follow(after, follower.listener, lost);
      expect(follower.told.seen).toEqual([]);
      return { after, ...follower };
    });
    for (let round = 0; round < 10; round++) await store.commit(type, [create(`live/${round}`)]);
    await cache.catchUp();
    await turn();
    for (const { after, told } of followers) {
      expect(revisions(told.seen)).toEqual(range(after + 1, 56));
      expect(told.through).toBe(56);
    }
    cache.close();
  });

  it("may start ahead of the cache", async () => {
    const store = memoryStore();
    const cache = await openCache({ store, type, clock });
    const { told, listener } = recorder();
    cache.follow(3, listener, lost);
    await store.commit(type, [create("a/1"), create("a/2"), create("a/3")]);
    await cache.catchUp();
    expect(revisions(told.seen)).toEqual([4]);
    cache.close();
  });

  it("receives nothing after it has stopped, also during a delivery", async () => {
    const store = memoryStore();
    const cache = await openCache({ store, type, clock });
    const { told, listener } = recorder();
    const stop = cache.follow(
      1,
      (changes, through) => {
        listener(changes, through);
        stop();
      },
      lost,
    );
    await store.commit(type, [create("a/1")]);
    await store.commit(type, [create("a/2")]);
    await cache.catchUp();
    expect(told.through).toBeLessThanOrEqual(3);
    const { length } = told.seen;
    await store.commit(type, [create("a/3")]);
    await cache.catchUp();
    expect(told.seen).toHaveLength(length);
    cache.close();
  });

  it("that throws is lost alone", async () => {
    const store = memoryStore();
    const cache = await openCache({ store, type, clock });
    const [bad, good] = [recorder(), recorder()];
    cache.follow(
      1,
      () => {
        throw new Error("full");
      },
      bad.onLost,
    );
    cache.follow(1, good.listener, lost);
    await store.commit(type, [create("a/1")]);
    await cache.catchUp();
    expect(bad.told.error?.message).toBe("full");
    expect(good.told.seen).toHaveLength(1);
    cache.close();
  });

  it("receives the next page when it has taken the last one, from the log, from the window and at its end", async () => {
    const { store, broken } = breakable();
    await store.commit(type, largeOnes(0, 40));
    const cache = await openCache({ store, type, clock, window: 8 });
    const slow = taker();
    const quick = recorder();
    cache.follow(1, slow.listener, lost);
    cache.follow(1, quick.listener, lost);
    await turn();
    const first = slow.pages.length;
    expect(first).toBe(1);
    const { reads } = broken;
    await turn();
    expect([slow.pages.length, broken.reads]).toEqual([1, reads]);
    for (let at = 40; at < 80; at++) {
      await store.commit(type, largeOnes(at, at + 1));
      await cache.catchUp();
      if (at % 8 === 0) await slow.take();
    }
    expect(slow.pages.length).toBeLessThanOrEqual(6);
    expect(revisions(quick.told.seen)).toEqual(range(2, 81));
    for (let round = 0; round < 40; round++) await slow.take();
    await store.commit(type, largeOnes(80, 81));
    await cache.catchUp();
    expect(revisions(slow.seen)).toEqual(range(2, 82));
    for (const page of slow.pages) expect(page).toBeLessThanOrEqual(16);
    cache.close();
  });

  it("shares a read of the log with followers at the same position", async () => {
    const { store, broken } = breakable();
    await store.commit(type, largeOnes(0, 40));
    const cache = await openCache({ store, type, clock, window: 8 });
    const followers = range(1, 20).map(() => {
      const follower = recorder();
      cache.follow(1, follower.listener, lost);
      return follower.told;
    });
    for (let round = 0; round < 40; round++) await turn();
    expect(broken.reads).toBeLessThan(8);
    for (const { seen } of followers) {
      expect(revisions(seen)).toEqual(range(2, 41));
      expect(seen[0]!.entry).toBe(followers[0]!.seen[0]!.entry);
    }
    cache.close();
  });

  it("fails with Compacted after its page when the log is compacted meanwhile", async () => {
    const store = memoryStore();
    await store.commit(type, largeOnes(0, 200));
    const cache = await openCache({ store, type, clock, window: 8 });
    const slow = taker();
    const { told, onLost } = recorder();
    cache.follow(1, slow.listener, onLost);
    await turn();
    await store.compact(type, 201);
    for (let round = 0; round < 40; round++) await slow.take();
    expect(told.error).toBeInstanceOf(Compacted);
    expect(revisions(slow.seen)).toEqual(range(2, slow.seen.length + 1));
    expect(slow.seen.length).toBeLessThan(200);
    cache.close();
  });

  it("fails when the log has gone backwards during a page", async () => {
    let store = memoryStore();
    await store.commit(type, largeOnes(0, 40));
    let look = () => {};
    const turned: Store = {
      ...forwardTo(store),
      head: (name) => store.head(name),
      list: (name, options) => store.list(name, options),
      changes: (name, after, limit) => store.changes(name, after, limit),
      changed: (_name, _after, signal) =>
        new Promise((resolve) => {
          look = resolve;
          signal.addEventListener("abort", () => resolve(), { once: true });
        }),
    };
    const cache = await openCache({ store: turned, type, clock });
    const slow = taker();
    const { told, onLost } = recorder();
    cache.follow(30, slow.listener, onLost);
    await turn();
    const earlier = memoryStore();
    await earlier.commit(type, largeOnes(0, 3));
    store = earlier;
    look();
    await turn();
    await turn();
    expect(cache.revision).toBe(4);
    expect(told.error).toBeInstanceOf(Compacted);
    cache.close();
  });

  it("fails with Compacted when its position is gone", async () => {
    const store = memoryStore();
    await store.commit(type, numbered(10));
    await store.compact(type, 6);
    const cache = await openCache({ store, type, clock, window: 4 });
    const [old, edge] = [recorder(), recorder()];
    cache.follow(5, old.listener, old.onLost);
    cache.follow(6, edge.listener, edge.onLost);
    await turn();
    expect(old.told.error).toBeInstanceOf(Compacted);
    expect(old.told.seen).toEqual([]);
    expect(revisions(edge.told.seen)).toEqual([7, 8, 9, 10, 11]);
    cache.close();
  });

  it("fails when the cache is closed", async () => {
    const cache = await openCache({ store: memoryStore(), type, clock });
    const { told, onLost, listener } = recorder();
    cache.follow(1, listener, onLost);
    cache.close();
    expect(told.error?.message).toBe("the cache was closed");
    await expect(cache.catchUp()).rejects.toThrow("the cache was closed");
  });
});
