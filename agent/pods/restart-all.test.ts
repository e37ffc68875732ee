import { expect, test } from "vitest";
import type { Container } from "#api";
import { Cluster, condition, makeContainer, makePod } from "./testing.ts";

const rules = [{ action: "RestartAllContainers", exitCodes: { operator: "In", values: [42] } }];
const ruled = (name: string, script: string, more: Partial<Container> = {}) =>
  makeContainer(name, {
    ...{ command: ["sh", "-c", script], restartPolicy: "Never", restartPolicyRules: rules as never },
    ...more,
  });
const restarts = (cluster: Cluster, name: string) => {
  const { initContainerStatuses = [], containerStatuses = [] } = cluster.status(name);
  return [...initContainerStatuses, ...containerStatuses].map((one) => [one.name, one.restartCount]);
};
const pod = (name: string) =>
  makePod(name, {
    spec: {
      restartPolicy: "Never",
      initContainers: [makeContainer("init", { command: ["true"] }) as never],
      containers: [ruled("source", "sleep 5; exit 42"), makeContainer("other", { command: ["sleep", "1000"] })],
    },
  });

// Upstream's ShouldAllContainersRestart, computePodActions (ContainersToReset) and convertToAPIContainerStatuses:
// RestartAllContainersOnContainerExits is on by default from 1.36 on.
test("a rule restarts all containers of the pod in its sandbox, init containers too", async () => {
  const cluster = new Cluster();
  const removed: string[] = [];
  const seen: (string | undefined)[] = [];
  const { pods } = cluster.runtime;
  const removeContainer = pods.removeContainer.bind(pods);
  pods.removeContainer = async (id) => {
    const all = (await pods.list()).flatMap(({ containers }) => containers);
    removed.push(all.find((one) => one.id === id)?.name ?? "");
    await removeContainer(id);
  };
  cluster.beforeWrite.hook = ({ status }) => {
    seen.push(condition(status ?? {}, "AllContainersRestarting"));
  };
  cluster.create(pod("p"));
  await cluster.settle();
  expect(condition(cluster.status("p"), "AllContainersRestarting")).toBe("False");
  const [sandbox] = await pods.list();
  await cluster.clock.forward(5100);
  expect(removed).toEqual(["other", "init", "source"]);
  expect(seen).toContain("True RestartAllContainersStarted");
  expect(restarts(cluster, "p")).toEqual([
    ["init", 1],
    ["source", 1],
    ["other", 1],
  ]);
  expect(cluster.status("p").phase).toBe("Running");
  expect(condition(cluster.status("p"), "Ready")).toBe("True");
  expect(condition(cluster.status("p"), "Initialized")).toBe("True");
  expect(cluster.status("p").containerStatuses![1]!.lastState!.terminated).toEqual({
    reason: "RestartingAllContainers",
    message: "The container is removed because RestartAllContainers in place",
    exitCode: 137,
  });
  expect((await pods.list()).map(({ id }) => id)).toEqual([sandbox!.id]);
  await cluster.restart();
  await cluster.clock.forward(2000);
  expect(cluster.status("p").containerStatuses![1]!.lastState!.terminated?.reason).toBe("RestartingAllContainers");
  await cluster.clock.forward(4000);
  expect(restarts(cluster, "p").map(([, count]) => count)).toEqual([2, 2, 2]);
  await cluster.manager.stop();
});

test("an exit code without a rule follows the policy, and the first matching rule wins", async () => {
  const cluster = new Cluster();
  cluster.create(makePod("failed", { spec: { restartPolicy: "Never", containers: [ruled("main", "exit 1")] } }));
  const first = { action: "Restart", exitCodes: { operator: "In", values: [42] } };
  const both = { restartPolicyRules: [first, ...rules] as never };
  const other = makeContainer("other", { command: ["sleep", "1000"] });
  const mixed = ruled("main", "sleep 5; exit 42", both);
  cluster.create(makePod("mixed", { spec: { restartPolicy: "Never", containers: [mixed, other] } }));
  await cluster.clock.forward(6000);
  expect(cluster.status("failed").phase).toBe("Failed");
  expect(condition(cluster.status("failed"), "AllContainersRestarting")).toBe("False PodFailed");
  expect(restarts(cluster, "mixed")).toEqual([
    ["main", 1],
    ["other", 0],
  ]);
  await cluster.manager.stop();
});

test("an agent that dies between the removals and the starts continues, and counts each restart once", async () => {
  const cluster = new Cluster();
  const { pods } = cluster.runtime;
  const startContainer = pods.startContainer.bind(pods);
  cluster.create(pod("p"));
  await cluster.settle();
  pods.startContainer = () => Promise.reject(new Error("the agent dies"));
  await cluster.clock.forward(5100);
  expect(cluster.status("p").phase).toBe("Running");
  expect(cluster.status("p").containerStatuses![0]).toMatchObject({
    lastState: { terminated: { reason: "RestartingAllContainers" } },
    restartCount: 1,
  });
  pods.startContainer = startContainer;
  await cluster.restart();
  await cluster.clock.forward(1000);
  expect(restarts(cluster, "p").map(([, count]) => count)).toEqual([1, 1, 1]);
  expect(condition(cluster.status("p"), "Ready")).toBe("True");
  await cluster.manager.stop();
});
