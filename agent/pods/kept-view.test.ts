import { expect, test, vi } from "vitest";
import { Cluster, makePod } from "./testing.ts";

test("a pod at rest is synchronized each minute without asking the runtime, and at most five minutes long", async () => {
  const cluster = new Cluster();
  cluster.create(makePod("web"));
  await cluster.settle();
  expect(cluster.status("web").phase).toBe("Running");
  await cluster.clock.forward(61_000);
  const lists = vi.spyOn(cluster.runtime.pods, "list");
  await cluster.clock.forward(180_000);
  expect(lists).not.toHaveBeenCalled();
  await cluster.clock.forward(180_000);
  expect(lists).toHaveBeenCalled();
  await cluster.manager.stop();
});

test("a container that ends between two such steps is started again at once", async () => {
  const cluster = new Cluster();
  cluster.create(makePod("web"));
  await cluster.settle();
  await cluster.clock.forward(125_000);
  const [sandbox] = await cluster.runtime.pods.list();
  await cluster.runtime.pods.stopContainer(sandbox!.containers[0]!.id, 0);
  await cluster.settle();
  await cluster.clock.forward(11_000);
  const [status] = cluster.status("web").containerStatuses ?? [];
  expect(status).toMatchObject({ restartCount: 1, state: { running: {} } });
  await cluster.manager.stop();
});
