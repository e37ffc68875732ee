import { afterEach, beforeEach, expect, test } from "vitest";
import { nodes } from "#api";
import { openCluster, type TestCluster } from "#test/cluster";

let cluster: TestCluster;
beforeEach(async () => {
  cluster = await openCluster();
});
afterEach(() => cluster.close());

// Boundaries and their overlap: ttlBoundaries of upstream's pkg/controller/ttl.
const key = "node.alpha.kubernetes.io/ttl";
const add = async (from: number, to: number) => {
  for (let at = from; at < to; at++) await cluster.client.create(nodes, { metadata: { name: `n${at}` } });
};
const values = async () => [
  ...new Set((await cluster.client.list(nodes)).items.map(({ metadata }) => metadata.annotations?.[key])),
];
const become = async (value: string): Promise<void> => {
  await cluster.pass(1000);
  expect(await values()).toEqual([value]);
};

test("sets a TTL that grows with the number of nodes, with overlap at the boundaries", async () => {
  await add(0, 100);
  await become("0");
  await add(100, 101);
  await become("15");
  for (let at = 91; at < 101; at++) await cluster.client.delete(nodes, { name: `n${at}` });
  await cluster.quiet();
  expect(await values()).toEqual(["15"]);
  await add(91, 92);
  await become("15");
  for (const name of ["n0", "n1", "n2"]) await cluster.client.delete(nodes, { name });
  await become("0");
});

test("restores a removed annotation", async () => {
  await add(0, 1);
  await become("0");
  await cluster.client.patch(nodes, { name: "n0" }, { metadata: { annotations: null } }, { type: "merge" });
  await become("0");
});
