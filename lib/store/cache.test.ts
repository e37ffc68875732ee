import { describe, expect, it } from "vitest";
import { serviceUnavailable, systemClock } from "#base";
import { type Change, Compacted, openCache, type Store } from "#store";
import { create, manualClock, remove, textOf, update } from "#store/conformance";
import { memoryStore } from "#store/memory";

const type = "things";
const clock = systemClock;
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const lost = (error: Error) => {
  if (error.message !== "the cache was closed") expect.unreachable(error.message);
};

const numbered = (count: number, name = "n") => Array.from({ length: count }, (_, index) => create(`${name}/${index}`));

/** A follower that keeps what it is told. */
const recorder = () => {
  const seen: Change[] = [];
  const told = { seen, through: 0, error: undefined as Error | undefined };
  const listener = (changes: Change[], through: number) => {
    seen.push(...changes);
    told.through = through;
  };
  const onLost = (error: Error) => {
    told.error = error;
  };
  return { told, listener, onLost };
};
/** A follower that has enough with each page until it takes it. */
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
const revisions = (changes: Change[]) => changes.map((change) => change.revision);
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

describe("a cache", () => {
  it("starts with what is there and follows what comes", async () => {
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

  it("holds the same objects as its changes do, and tells all followers the same", async () => {
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

  it("finds what an owner owns", async () => {
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

describe("a follower", () => {
  it("is told everything once and in order, wherever it starts", async () => {
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

  it("hears no more once it has stopped, even while it is told", async () => {
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

  it("gets the next page when it has taken the last one, from the log and from the window, and then what comes", async () => {
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

  it("shares a read of the log with those at the same place", async () => {
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

  it("that is at a page while the log is compacted is told Compacted, after what it has got", async () => {
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

  it("that is at a page is told when the log turns out to be an earlier one", async () => {
    let store = memoryStore();
    await store.commit(type, largeOnes(0, 40));
    let look = () => {};
    const turned: Store = {
      ...store,
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

  it("is told Compacted when its place is gone", async () => {
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

  it("is told when the cache is closed", async () => {
    const cache = await openCache({ store: memoryStore(), type, clock });
    const { told, onLost, listener } = recorder();
    cache.follow(1, listener, onLost);
    cache.close();
    expect(told.error?.message).toBe("the cache was closed");
    await expect(cache.catchUp()).rejects.toThrow("the cache was closed");
  });
});

/** A memory store whose log can be cut off for a while. */
function breakable() {
  const store = memoryStore();
  const broken = { changes: undefined as Error | undefined, changed: false, reads: 0 };
  const wrapped: Store = {
    ...store,
    changes: async (name, after, limit) => {
      broken.reads++;
      if (broken.changes) throw broken.changes;
      return store.changes(name, after, limit);
    },
    changed: async (name, after, signal) => {
      if (!broken.changed) return store.changed(name, after, signal);
      return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    },
  };
  return { store: wrapped, broken };
}

describe("a cache in trouble", () => {
  it("loads anew when the log was compacted under it, and tells those who miss changes", async () => {
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

  it("fails those who wait when the store fails, and tries again by itself", async () => {
    const { store, broken } = breakable();
    const manual = manualClock();
    const cache = await openCache({ store, type, clock: manual });
    const { told, listener } = recorder();
    cache.follow(1, listener, lost);
    broken.changes = serviceUnavailable("the disk is gone");
    await store.commit(type, [create("a/1")]);
    await turn();
    expect(broken.reads).toBe(1);
    await manual.advance(99);
    expect(broken.reads).toBe(1);
    await manual.advance(1);
    expect(broken.reads).toBe(2);
    await expect(cache.catchUp()).rejects.toThrow("the disk is gone");
    broken.changes = undefined;
    await manual.advance(5000);
    expect(cache.revision).toBe(2);
    expect(told.seen).toHaveLength(1);
    cache.close();
  });

  it("reads only when it is needed unless it is live", async () => {
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
