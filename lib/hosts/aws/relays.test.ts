import { CreateTableCommand, DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemRandom } from "#base";
import { tables } from "#store/dynamo";
import { dynoxidePath, emulator, startDynoxide, tableInput } from "#store/dynamo/testing";
import { handClock } from "#test/make";
import { DynamoRelays } from "./relays.ts";

let engine: Awaited<ReturnType<typeof startDynoxide>>;
let dynamo: DynamoDBClient;

beforeAll(async () => {
  engine = await startDynoxide(dynoxidePath()!);
  dynamo = new DynamoDBClient(emulator(engine.endpoint));
  await dynamo.send(new CreateTableCommand(tableInput("objects", tables.objects)));
});
afterAll(async () => {
  dynamo?.destroy();
  await engine?.stop();
});

const open = (start = 1_000_000_000_000) => {
  const clock = handClock(start);
  return { clock, relays: new DynamoRelays({ dynamo, table: "objects", clock, random: systemRandom }) };
};
const what = { node: "i-1", agent: "a1", path: "/exec/default/one/main?command=id" };

test("a ticket is valid once, for one principal, for a minute", async () => {
  const { clock, relays } = open();
  const ticket = await relays.allow("arn:ann", what);
  expect(await relays.begin("c1", ticket, "arn:bob")).toBe(false);
  expect(await relays.begin("c1", ticket, "")).toBe(false);
  expect(await relays.begin("c1", ticket, "arn:ann")).toBe(true);
  expect(await relays.begin("c2", ticket, "arn:ann")).toBe(false);
  expect(await relays.find("c1")).toEqual(what);
  expect(await relays.find("c2")).toBeUndefined();
  const late = await relays.allow("arn:ann", what);
  clock.move(61_000);
  expect(await relays.begin("c3", late, "arn:ann")).toBe(false);
});

test("a ticket that is used concurrently begins one relay", async () => {
  const { relays } = open();
  const ticket = await relays.allow("arn:ann", what);
  const begun = await Promise.all(["d1", "d2", "d3", "d4"].map((id) => relays.begin(id, ticket, "arn:ann")));
  expect(begun.filter(Boolean)).toHaveLength(1);
});

test("a relay is cached for half a minute, loses its path when moved, and expires after two hours", async () => {
  const { clock, relays } = open();
  await relays.begin("e1", await relays.allow("arn:ann", what), "arn:ann");
  const elsewhere = new DynamoRelays({ dynamo, table: "objects", clock, random: systemRandom });
  expect(await elsewhere.find("e1")).toEqual(what);
  await relays.move("e1", "a2");
  expect(await relays.find("e1")).toEqual({ ...what, agent: "a2", path: undefined });
  expect(await elsewhere.find("e1")).toEqual(what);
  clock.move(30_000);
  expect((await elsewhere.find("e1"))?.agent).toBe("a2");
  clock.move(2 * 3600_000);
  expect(await relays.find("e1")).toBeUndefined();
  await expect(relays.move("e2", "a2")).rejects.toThrow();
});

test("the end of a relay yields it once", async () => {
  const { relays } = open();
  await relays.begin("f1", await relays.allow("arn:ann", what), "arn:ann");
  expect(await relays.end("f1")).toEqual(what);
  expect(await relays.end("f1")).toBeUndefined();
  expect(await relays.find("f1")).toBeUndefined();
});
