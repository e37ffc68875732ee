import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { afterAll, beforeAll, expect, test } from "vitest";
import { silentLog, systemRandom } from "#base";
import { dynoxidePath, emulator, makeTables, startDynoxide } from "#store/dynamo/testing";
import { handClock } from "#test/make";
import { givenTo, watchPlaces } from "./watch-places.ts";

const path = dynoxidePath();
let engine: Awaited<ReturnType<typeof startDynoxide>>;
let dynamo: DynamoDBClient;
beforeAll(async () => {
  if (!path) return;
  engine = await startDynoxide(path);
  dynamo = new DynamoDBClient(emulator(engine.endpoint));
});
afterAll(() => engine?.stop());

const minutes = (count: number): number => count * 60_000;

async function open(limit: number) {
  const { objects: table } = await makeTables(engine.endpoint);
  const clock = handClock(1_000_000);
  const make = () => watchPlaces({ dynamo, table, limit, clock, random: systemRandom, log: silentLog });
  return { clock, take: (milliseconds: number) => make().take(milliseconds) };
}

test.skipIf(!path)("as many watches as there are places, and 429 with when to come again", async () => {
  const { take } = await open(3);
  const all = await Promise.all([take(minutes(14)), take(minutes(14)), take(minutes(14))]);
  await expect(take(minutes(14))).rejects.toMatchObject({
    status: { code: 429, reason: "TooManyRequests", details: { retryAfterSeconds: 5 } },
  });
  await all[1]!.leave();
  await all[1]!.leave();
  await take(minutes(1));
  await expect(take(minutes(14))).rejects.toMatchObject({ status: { code: 429 } });
});

test.skipIf(!path)("a place that nobody gave back lapses; who only looks for a moment takes none", async () => {
  const { clock, take } = await open(1);
  await take(minutes(2));
  for (let looks = 0; looks < 3; looks++) await take(1000);
  clock.move(minutes(2));
  await expect(take(minutes(1))).rejects.toMatchObject({ status: { code: 429 } });
  clock.move(16_000);
  const [first, second] = await Promise.allSettled([take(minutes(1)), take(minutes(1))]);
  expect([first.status, second.status].sort()).toEqual(["fulfilled", "rejected"]);
});

test("the more are taken, the shorter each lasts", () => {
  const given = [1, 25, 30, 40, 49, 50].map((taken) => givenTo(taken, 50, minutes(14)) / minutes(1));
  expect(given.map((each) => Math.round(each * 10) / 10)).toEqual([14, 14, 11.2, 5.6, 1, 1]);
  expect(givenTo(50, 50, 10_000)).toBe(10_000);
});
