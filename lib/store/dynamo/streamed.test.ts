import { expect, test } from "vitest";
import type { Change } from "#store";
import { create, remove, update } from "#store/conformance";
import { openStand } from "./testing/stage.ts";

const type = "apps/things";

test("passes the changes of a commit before it resolves, and stores their hop count in the stream", async () => {
  const stand = openStand({ shards: 3 });
  const told: [string, Change[]][] = [];
  const made = async (of: string, changes: Change[]) => void told.push([of, changes]);
  const store = stand.another(undefined, { onCommit: made, hops: () => 4 });
  const [first] = await store.commit(type, [create("a"), create("b")]);
  const revision = (first as { revision: number }).revision;
  await store.commit(type, [update("a", revision)]);
  await store.commit(type, [update("a", revision)]);
  const [, , now] = told.flatMap(([, changes]) => changes);
  await store.commit(type, [remove("a", now!.revision)]);
  expect(told.map(([of, changes]) => [of, changes.map((each) => `${each.type} ${each.key}`)])).toEqual([
    [type, ["create a", "create b"]],
    [type, ["update a"]],
    [type, ["delete a"]],
  ]);
  const streamed = await Promise.all(stand.items("changes").map((image) => store.streamed(image)));
  const seen = streamed.flatMap((each) => (each ? [each] : [])).sort((a, b) => a.change.revision - b.change.revision);
  expect(seen.map(({ change }) => change)).toEqual(told.flatMap(([, changes]) => changes));
  expect(seen.map((each) => [each.type, each.hops])).toEqual(Array(4).fill([type, 4]));
});

test("ignores voids and records of other tables", async () => {
  const { store } = openStand();
  expect(await store.streamed({ p: { S: "t#0" }, r: { N: "3" }, v: { S: "x" } })).toBeUndefined();
  expect(await store.streamed({ p: { S: "nothing" }, w: { N: "0" } })).toBeUndefined();
});
