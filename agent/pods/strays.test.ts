import { expect, test } from "vitest";
import { dnsOf, sandboxSpecOf } from "./sandbox-spec.ts";
import { Cluster, makePod, testNode } from "./testing.ts";

test("a sandbox that appears later for a pod that the node does not have is removed", async () => {
  const cluster = new Cluster();
  cluster.create(makePod("web"));
  await cluster.settle();
  cluster.manager.synced();
  await cluster.settle();
  const stray = makePod("stray");
  await cluster.runtime.pods.runSandbox(sandboxSpecOf(stray, 0, testNode, await dnsOf(stray, testNode)));
  await cluster.clock.forward(61_000);
  const names = (await cluster.runtime.pods.list()).map(({ name }) => name);
  expect(names).toEqual(["web"]);
  await cluster.manager.stop();
});
