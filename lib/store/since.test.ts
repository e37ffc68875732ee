import { expect, test } from "vitest";
import { silentLog } from "#base";
import { create } from "#store/conformance";
import { memoryStore } from "#store/memory";
import { handClock } from "#test/make";
import { openCache } from "./cache.ts";
import { forwardTo } from "./forward.ts";

test("reads the head once for a piece of work, unless this process has written", async () => {
  const store = memoryStore();
  const clock = handClock(1000);
  let looks = 0;
  const counted = { ...forwardTo(store), head: (type: string) => store.head(type) };
  const looking: typeof store = {
    ...counted,
    head: (type) => {
      looks++;
      return store.head(type);
    },
  };
  let since = 1000;
  const cache = await openCache({ store: looking, type: "t", clock, log: silentLog, live: false, since: () => since });
  const look = async () => {
    await cache.catchUp();
    return looks;
  };
  clock.move(1);
  expect(await look()).toBe(1);
  expect(await look()).toBe(1);
  await store.commit("t", [create("a")]);
  expect(await look()).toBe(1);
  expect(cache.get("a")).toBeUndefined();
  cache.written();
  expect(await look()).toBe(2);
  expect(cache.get("a")?.key).toBe("a");
  clock.move(10);
  since = clock.now();
  await store.commit("t", [create("b")]);
  clock.move(1);
  expect(await look()).toBe(3);
  expect(cache.get("b")?.key).toBe("b");
  cache.close();
});

test("reads the head again after a write during the read", async () => {
  const store = memoryStore();
  const clock = handClock(1000);
  let looks = 0;
  let during: (() => void) | undefined;
  const looking: typeof store = {
    ...forwardTo(store),
    head: async (type) => {
      looks++;
      const head = await store.head(type);
      during?.();
      return head;
    },
  };
  const cache = await openCache({ store: looking, type: "t", clock, log: silentLog, live: false, since: () => 1 });
  during = () => cache.written();
  await cache.catchUp();
  during = undefined;
  await cache.catchUp();
  await cache.catchUp();
  expect(looks).toBe(2);
  cache.close();
});
