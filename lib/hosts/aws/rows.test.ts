import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { expect, test } from "vitest";
import { silentLog, systemRandom } from "#base";
import { dynamoDueIndex } from "#reconcile/sqs";
import { tables } from "#store/dynamo";
import { handClock } from "#test/make";
import { DynamoConnections } from "./connections.ts";
import { takeFence } from "./fence.ts";
import { DynamoRelays } from "./relays.ts";
import { rows } from "./rows.ts";
import { DynamoWatchPlaces } from "./watch-places.ts";

interface Write {
  partition: string;
  attributes: string[];
}

/** DynamoDB that answers nothing and records writes: their partitions, and the names of attributes. */
function recorder() {
  const writes: Write[] = [];
  const send = async ({ input }: { input: Record<string, unknown> }) => {
    const {
      Item,
      Key,
      UpdateExpression: update = "",
    } = input as {
      Item?: Record<string, unknown>;
      Key?: Record<string, unknown>;
      UpdateExpression?: string;
    };
    const partition = ((Item ?? Key)?.["p"] as { S?: string } | undefined)?.S;
    const updated = [...update.matchAll(/(?:SET|ADD|REMOVE) (\w+)/g)].map(([, name = ""]) => name);
    const names = Object.keys(Item ?? {}).filter((name) => !["p", "k"].includes(name));
    if (partition !== undefined) writes.push({ partition, attributes: [...names, ...updated] });
    return { Attributes: { n: { N: "1", S: "i-1" }, a: { S: "a1" }, x: { S: "/exec" } } };
  };
  return { writes, dynamo: { send } as unknown as DynamoDBClient };
}

const families = Object.values(rows).map(({ partition, attributes }) => ({
  partition: partition as string,
  names: Object.values(attributes) as string[],
}));

test("every row that a driver writes is in the list, with its attributes", async () => {
  const { dynamo, writes } = recorder();
  const clock = handClock();
  const table = "objects";
  const connections = new DynamoConnections({ dynamo, table, clock });
  await connections.open("c1", "i-1");
  await connections.watch("c1", []);
  const relays = new DynamoRelays({ dynamo, table, clock, random: systemRandom });
  const ticket = await relays.allow("arn:ann", { node: "i-1", agent: "a1", path: "/exec" });
  await relays.begin("c2", ticket, "arn:ann");
  await relays.move("c2", "a2");
  await takeFence(dynamo, table);
  const places = new DynamoWatchPlaces({ dynamo, table, limit: 1, clock, random: systemRandom, log: silentLog });
  await places.take(60_000);
  for (const { partition, attributes } of writes) {
    const family = families.find((each) => each.partition === partition);
    expect(family, partition).toBeDefined();
    for (const name of attributes) expect(family!.names, partition).toContain(name);
  }
  expect(new Set(writes.map(({ partition }) => partition))).toEqual(new Set(families.map((each) => each.partition)));
});

test("the legend names every partition once, including those of other rooms", async () => {
  const { dynamo, writes } = recorder();
  await dynamoDueIndex(dynamo, "objects").put({ controller: "deployment", key: { name: "web" } }, 0);
  const text = readFileSync(join(import.meta.dirname, "rows.ts"), "utf8");
  const legend = [...text.matchAll(/^ \* \| ([\w-]+) +\|[^|]+\| `([\w-]+)` +\|/gm)].map(([, , partition]) => partition);
  const expected = [
    ...families.map(({ partition }) => partition),
    ...writes.map(({ partition }) => partition),
    "restore",
  ];
  expect([...legend].sort()).toEqual(expected.sort());
});

test("rows expire by the table's TTL attribute", () => {
  for (const { attributes } of Object.values(rows)) {
    if ("expires" in attributes) expect(attributes.expires).toBe(tables.objects.timeToLive);
  }
});
