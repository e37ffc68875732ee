import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { afterAll, beforeAll, expect, test } from "vitest";
import { silentLog, systemRandom } from "#base";
import { dynoxidePath, emulator, makeTables, startDynoxide } from "#store/dynamo/testing";
import { handClock } from "#test/make";
import { DynamoWatchPlaces, givenTo } from "./watch-places.ts";

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
  const make = () => new DynamoWatchPlaces({ dynamo, table, limit, clock, random: systemRandom, log: silentLog });
  return { clock, take: (milliseconds: number) => make().take(milliseconds) };
}

test.skipIf(!path)("admits as many watches as there are leases, then fails with 429 and Retry-After", async () => {
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

test.skipIf(!path)("a lease that is not released expires; short watches need none", async () => {
  const { clock, take } = await open(1);
  await take(minutes(2));
  for (let count = 0; count < 3; count++) await take(1000);
  clock.move(minutes(2));
  await expect(take(minutes(1))).rejects.toMatchObject({ status: { code: 429 } });
  clock.move(16_000);
  const [first, second] = await Promise.allSettled([take(minutes(1)), take(minutes(1))]);
  expect([first.status, second.status].sort()).toEqual(["fulfilled", "rejected"]);
});

test("watches get shorter as leases are taken", () => {
  const given = [1, 25, 30, 40, 49, 50].map((taken) => givenTo(taken, 50, minutes(14)) / minutes(1));
  expect(given.map((each) => Math.round(each * 10) / 10)).toEqual([14, 14, 11.2, 5.6, 1, 1]);
  expect(givenTo(50, 50, 10_000)).toBe(10_000);
});
