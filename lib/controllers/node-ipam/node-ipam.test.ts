import { afterEach, expect, test } from "vitest";
import { type Node, nodes, podCidrAllocations } from "#api";
import { memoryStore } from "#store/memory";
import { openCluster, type TestCluster } from "#test/cluster";
import { nodeIpamController } from "./index.ts";

let cluster: TestCluster;
afterEach(() => cluster.close());

const add = (name: string) => cluster.client.create(nodes, { metadata: { name } });
const blockOf = async (name: string) => (await cluster.client.get(nodes, { name })).spec?.podCIDR;
const given = (name: string) => cluster.until(() => blockOf(name));
const taken = async () =>
  Object.fromEntries(
    (await cluster.client.list(podCidrAllocations)).items.map(({ metadata, spec }) => [spec?.node, metadata.name]),
  );

test("allocates a block to each node and reuses released ones", async () => {
  cluster = await openCluster({ podCidr: "10.244.0.0/22" });
  const names = ["a", "b", "c", "d"];
  await Promise.all(names.map(add));
  const blocks = await Promise.all(names.map(given));
  expect([...blocks].sort()).toEqual(["10.244.0.0/24", "10.244.1.0/24", "10.244.2.0/24", "10.244.3.0/24"]);
  expect((await cluster.client.get(nodes, { name: "a" })).spec?.podCIDRs).toEqual([blocks[0]]);
  await add("e");
  const events = async () => (await cluster.ask("GET", "/api/v1/events")).json.items;
  const why = await cluster.until(async () =>
    (await events()).find(({ reason }: { reason: string }) => reason === "CIDRNotAvailable"),
  );
  expect(why.message).toBe("Node e status is now: CIDRNotAvailable");
  await cluster.client.delete(nodes, { name: "b" });
  expect(await given("e")).toBe(blocks[1]);
  await cluster.quiet();
  expect(Object.keys(await taken()).sort()).toEqual(["a", "c", "d", "e"]);
});

test("a small CIDR is one block; a block that a node reports is allocated to it", async () => {
  cluster = await openCluster({ podCidr: "10.9.0.0/23" });
  await cluster.client.create(nodes, { metadata: { name: "own" }, spec: { podCIDR: "10.9.1.0/24" } } as Node);
  await cluster.client.create(nodes, { metadata: { name: "far" }, spec: { podCIDR: "10.8.1.0/24" } } as Node);
  await cluster.until(async () => (await taken())["own"] === "10.9.1.0-24");
  await add("one");
  expect(await given("one")).toBe("10.9.0.0/24");
  // Too late: another node has the block, which an event must report.
  await cluster.client.create(nodes, { metadata: { name: "late" }, spec: { podCIDR: "10.9.1.0/24" } } as Node);
  const events = async () => (await cluster.ask("GET", "/api/v1/events")).json.items;
  await cluster.until(async () =>
    (await events()).some(({ reason }: { reason: string }) => reason === "CIDRAlreadyAllocated"),
  );
  expect(await taken()).toEqual({ own: "10.9.1.0-24", one: "10.9.0.0-24" });
  await cluster.close();
  cluster = await openCluster({ podCidr: "10.9.0.0/26" });
  await add("one");
  expect(await given("one")).toBe("10.9.0.0/26");
});

test("after a crash between allocating and writing, the node keeps its block, and blocks of deleted nodes are free", async () => {
  const store = memoryStore();
  const dead = await openCluster({ store, asleep: true });
  await dead.client.create(nodes, { metadata: { name: "half" } });
  await dead.client.create(podCidrAllocations, { metadata: { name: "10.244.77.0-24" }, spec: { node: "half" } });
  await dead.client.create(podCidrAllocations, { metadata: { name: "10.244.78.0-24" }, spec: { node: "gone" } });
  await dead.close();
  cluster = await openCluster({ store, podCidr: "10.244.0.0/16" });
  expect(await given("half")).toBe("10.244.77.0/24");
  await cluster.until(async () => (await taken())["gone"] === undefined);
  expect(await taken()).toEqual({ half: "10.244.77.0-24" });
});

test("a node that is created again keeps its block or gets another free one", async () => {
  cluster = await openCluster({ podCidr: "10.244.0.0/22" });
  for (let round = 0; round < 8; round++) {
    await Promise.all(["a", "b", "c"].map(add));
    const blocks = await Promise.all(["a", "b", "c"].map(given));
    expect(new Set(blocks).size).toBe(3);
    await Promise.all(["a", "b", "c"].map((name) => cluster.client.delete(nodes, { name })));
  }
  await cluster.until(async () => Object.keys(await taken()).length === 0);
});

test("allocates nothing without a CIDR, and rejects an IPv6 CIDR", async () => {
  cluster = await openCluster();
  await add("a");
  await cluster.quiet();
  expect(await blockOf("a")).toBeUndefined();
  expect(() => nodeIpamController("fd00::/64")).toThrow("not an IPv4 block");
});
