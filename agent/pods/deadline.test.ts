import { expect, test } from "vitest";
import { behaviour, Cluster, condition, makeContainer, makePod } from "./testing.ts";

const stubborn = { annotations: { [behaviour.ignoreStop]: "true" } };

/** Phases and reasons of the pod in the order in which they were written. */
function phasesOf(cluster: Cluster): string[] {
  const seen: string[] = [];
  cluster.beforeWrite.hook = ({ status }) => {
    const text = `${status?.phase} ${status?.reason ?? "-"} ${status && condition(status, "Ready")}`;
    if (seen.at(-1) !== text) seen.push(text);
  };
  return seen;
}

// By the kubelet's mergePodStatus a pod is Failed only when none of its containers can run any more;
// GenerateContainersReadyCondition says PodFailed as soon as the node ends it.
test("a pod past its deadline is Failed once none of its containers runs", async () => {
  const cluster = new Cluster();
  const seen = phasesOf(cluster);
  cluster.create(makePod("p", { ...stubborn, spec: { activeDeadlineSeconds: 10, terminationGracePeriodSeconds: 20 } }));
  await cluster.clock.forward(15_000);
  expect(seen).toEqual(["Pending - False ContainersNotReady", "Running - True", "Running - False PodFailed"]);
  expect(cluster.status("p").containerStatuses![0]!.state!.running).toBeDefined();
  expect(cluster.status("p").message).toBeUndefined();
  await cluster.clock.forward(20_000);
  expect(seen.slice(3)).toEqual(["Failed DeadlineExceeded False PodFailed"]);
  expect(cluster.status("p")).toMatchObject({
    message: "Pod was active on the node longer than the specified deadline",
    containerStatuses: [{ ready: false, state: { terminated: { exitCode: 137 } } }],
  });
  expect(cluster.events.filter((event) => event.includes("DeadlineExceeded")).length).toBe(1);
  await cluster.manager.stop();
});

test("a restarted agent ends a pod that had passed its deadline", async () => {
  const cluster = new Cluster();
  const seen = phasesOf(cluster);
  cluster.create(makePod("p", { ...stubborn, spec: { activeDeadlineSeconds: 10, terminationGracePeriodSeconds: 20 } }));
  await cluster.clock.forward(12_000);
  await cluster.restart();
  await cluster.clock.forward(30_000);
  expect(seen.at(-1)).toBe("Failed DeadlineExceeded False PodFailed");
  expect(seen.filter((text) => text.startsWith("Failed")).length).toBe(1);
  await cluster.manager.stop();
});

// TerminatePod: a container without a terminated state counts as one that may have run.
test("containers that never ran have a terminated state too, in a pod past its deadline", async () => {
  const cluster = new Cluster();
  const never = makeContainer("main", { image: "absent:1", imagePullPolicy: "Never" });
  cluster.create(makePod("p", { spec: { activeDeadlineSeconds: 10, containers: [never] } }));
  const init = makeContainer("init", { command: ["sleep", "1000"] });
  cluster.create(makePod("initializing", { spec: { activeDeadlineSeconds: 10, initContainers: [init] } }));
  await cluster.clock.forward(45_000);
  expect(cluster.status("p")).toMatchObject({
    phase: "Failed",
    reason: "DeadlineExceeded",
    containerStatuses: [{ state: { terminated: { exitCode: 137, reason: "ContainerStatusUnknown" } } }],
  });
  expect(cluster.status("initializing")).toMatchObject({
    phase: "Failed",
    initContainerStatuses: [{ state: { terminated: { exitCode: 143 } } }],
    containerStatuses: [{ state: { waiting: { reason: "PodInitializing" } } }],
  });
  await cluster.manager.stop();
});

test("a pod with a failed init container is not Failed while one of its sidecars runs", async () => {
  const cluster = new Cluster();
  const seen = phasesOf(cluster);
  const side = makeContainer("side", { command: ["sleep", "1000"], restartPolicy: "Always" });
  const bad = makeContainer("bad", { command: ["false"] });
  cluster.create(makePod("p", { ...stubborn, spec: { restartPolicy: "Never", initContainers: [side, bad] } }));
  await cluster.clock.forward(10_000);
  expect(seen.some((text) => text.startsWith("Failed"))).toBe(false);
  await cluster.clock.forward(30_000);
  expect(cluster.status("p").phase).toBe("Failed");
  await cluster.manager.stop();
});
