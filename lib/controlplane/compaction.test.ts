import { expect, test } from "vitest";
import { silentLog } from "#base";
import { Compacted } from "#store";
import { memoryStore } from "#store/memory";
import { handClock } from "#test/make";
import { startCompaction } from "./compaction.ts";

const write = (key: string) => ({
  type: "create" as const,
  key,
  body: () => new Uint8Array([1]),
  schema: "s",
  index: { uid: key },
});

test("compacts changes after a while, again and again", async () => {
  const store = memoryStore();
  const clock = handClock();
  const turn = async (milliseconds: number) => {
    clock.move(milliseconds);
    for (let step = 0; step < 20; step++) await new Promise((resolve) => setImmediate(resolve));
  };
  const stop = startCompaction({ store, types: () => ["t", "empty"], clock, log: silentLog, keep: 1000, every: 100 });
  await store.commit("t", [write("a")]);
  const first = await store.head("t");
  for (let round = 0; round < 9; round++) await turn(100);
  await store.commit("t", [write("b")]);
  expect((await store.changes("t", first - 1)).changes.map(({ key }) => key)).toEqual(["a", "b"]);
  for (let round = 0; round < 3; round++) await turn(100);
  await expect(store.changes("t", first - 1)).rejects.toThrow(Compacted);
  expect((await store.changes("t", first)).changes.map(({ key }) => key)).toEqual(["b"]);
  for (let round = 0; round < 12; round++) await turn(100);
  await expect(store.changes("t", first)).rejects.toThrow(Compacted);
  expect((await store.list("t")).entries.map(({ key }) => key)).toEqual(["a", "b"]);
  stop();
  await store.close();
});
