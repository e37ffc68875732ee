import { afterEach, beforeEach, expect, test } from "vitest";
import { findCondition, nodes, type Pod, pods } from "#api";
import { openCluster, type TestCluster } from "#test/cluster";
import { make } from "#test/make";

let cluster: TestCluster;
beforeEach(async () => {
  cluster = await openCluster();
  await cluster.addNode("one");
});
afterEach(() => cluster.close());

const getPod = () => cluster.client.get(pods, { namespace: "default", name: "web" });

// addConditionAndDeletePod (pkg/controller/tainteviction) uses UpdatePodCondition, which keeps lastTransitionTime.
test("keeps the time of a DisruptionTarget condition that was already True", async () => {
  await cluster.client.create(pods, make.pod({ spec: { nodeName: "one" } }) as Pod);
  await cluster.playAgents();
  const lastTransitionTime = "2029-01-01T00:00:00Z";
  const condition = { type: "DisruptionTarget", status: "True", reason: "PreemptionByScheduler", lastTransitionTime };
  const name = { namespace: "default", name: "web" };
  const how = { type: "strategic", subresource: "status" } as const;
  await cluster.client.patch(pods, name, { status: { conditions: [condition] } }, how);
  await cluster.quiet();
  const taint = { key: "example.com/x", effect: "NoExecute" };
  await cluster.client.patch(nodes, { name: "one" }, { spec: { taints: [taint] } }, { type: "merge" });
  await cluster.until(async () => (await getPod()).metadata.deletionTimestamp);
  const { status } = await getPod();
  expect(findCondition(status?.conditions, "DisruptionTarget")).toEqual({
    ...condition,
    reason: "DeletionByTaintManager",
    message: "Taint manager: deleting due to NoExecute taint",
  });
});
