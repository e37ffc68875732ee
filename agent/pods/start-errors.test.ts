import { expect, test } from "vitest";
import { RuntimeError } from "#agent/runtime";
import { Cluster, makeContainer, makePod } from "./testing.ts";

/** Containers of these names are created and cannot be started, as one whose command does not exist. */
function failStarts(cluster: Cluster, ...names: string[]): void {
  const { pods } = cluster.runtime;
  const startContainer = pods.startContainer.bind(pods);
  cluster.runtime.pods.startContainer = async (start) => {
    const id = await startContainer(start);
    if (!names.includes(start.container.name)) return id;
    cluster.runtime.exit(id, 128, "StartError");
    throw new RuntimeError("start", "no such file or directory");
  };
}

const first = (cluster: Cluster, name: string) => cluster.status(name).containerStatuses![0]!;
const count = (cluster: Cluster, text: string) => cluster.events.filter((event) => event.includes(text)).length;

// The kubelet's convertToAPIContainerStatuses replaces a terminated state by Waiting only if
// ShouldContainerBeRestarted.
test("a container that cannot be started and is not retried has terminated with StartError", async () => {
  const cluster = new Cluster();
  failStarts(cluster, "main", "init");
  cluster.create(makePod("never", { spec: { restartPolicy: "Never" } }));
  const init = makeContainer("init", { command: ["true"] });
  cluster.create(makePod("init", { spec: { restartPolicy: "Never", initContainers: [init] } }));
  cluster.create(makePod("failure", { spec: { restartPolicy: "OnFailure" } }));
  await cluster.settle();
  expect(cluster.status("never").phase).toBe("Failed");
  expect(first(cluster, "never")).toMatchObject({
    state: { terminated: { exitCode: 128, reason: "StartError", containerID: expect.stringMatching(/^fake:/) } },
    lastState: {},
    restartCount: 0,
  });
  expect(cluster.status("init").phase).toBe("Failed");
  expect(cluster.status("init").initContainerStatuses![0]!.state!.terminated).toMatchObject({ reason: "StartError" });
  expect(first(cluster, "init").state).toEqual({ waiting: { reason: "PodInitializing" } });
  expect(first(cluster, "failure").state!.waiting!.reason).toBe("RunContainerError");
  expect(first(cluster, "failure").lastState!.terminated).toMatchObject({ exitCode: 128, reason: "StartError" });
  expect(count(cluster, "Warning Failed Error: no such file or directory")).toBe(3);
  await cluster.manager.stop();
});

test.each(["main", "init"])(
  "a %s container that cannot be started is tried again with growing delays",
  async (name) => {
    const cluster = new Cluster();
    failStarts(cluster, name);
    const initContainers = name === "init" ? [makeContainer("init", { command: ["true"] })] : [];
    const { metadata } = cluster.create(makePod("p", { spec: { restartPolicy: "Always", initContainers } }));
    const state = () => {
      const { containerStatuses = [], initContainerStatuses = [] } = cluster.status("p");
      return [...initContainerStatuses, ...containerStatuses][0]!;
    };
    await cluster.clock.forward(500);
    expect([state().state!.waiting!.reason, state().restartCount]).toEqual(["RunContainerError", 0]);
    await cluster.clock.forward(1000);
    expect([state().state!.waiting!.reason, state().restartCount]).toEqual(["RunContainerError", 1]);
    await cluster.clock.forward(1000);
    expect(state().state!.waiting).toEqual({
      reason: "CrashLoopBackOff",
      message: `back-off 10s restarting failed container=${name} pod=p_default(${metadata.uid})`,
    });
    await cluster.clock.forward(100_000);
    // At 1, 11, 31 and 71 seconds: the delays are doubled.
    expect(state().restartCount).toBe(4);
    expect(state().state!.waiting!.message).toContain("back-off 1m20s");
    await cluster.manager.stop();
  },
);

test("a container that cannot be created waits, whatever the restart policy", async () => {
  const cluster = new Cluster();
  const { pods } = cluster.runtime;
  const startContainer = pods.startContainer.bind(pods);
  let broken = true;
  cluster.runtime.pods.startContainer = async (start) => {
    if (broken) throw new RuntimeError("create", "no such device");
    return startContainer(start);
  };
  cluster.create(makePod("p", { spec: { restartPolicy: "Never" } }));
  await cluster.settle();
  expect(first(cluster, "p")).toMatchObject({
    state: { waiting: { reason: "CreateContainerError", message: "no such device" } },
    restartCount: 0,
  });
  expect(cluster.status("p").phase).toBe("Pending");
  await cluster.clock.forward(60_000);
  // Once every ten seconds, plus up to half of that (workerBackOffPeriodJitterFactor).
  expect(count(cluster, "Warning Failed Error: no such device")).toBe(7);
  broken = false;
  await cluster.clock.forward(10_000);
  expect(cluster.status("p").phase).toBe("Running");
  await cluster.manager.stop();
});

test("records an event every ten seconds, not every second, for images with policy Never or an invalid name", async () => {
  const cluster = new Cluster({
    pullError: (reference) => (reference === "gone:1" ? new RuntimeError("notFound", "no such image") : undefined),
  });
  const pod = (name: string, image: string, imagePullPolicy: string) =>
    cluster.create(makePod(name, { spec: { containers: [makeContainer("main", { image, imagePullPolicy })] } }));
  pod("never", "absent:1", "Never");
  pod("wrong", "Not/A/Name:", "Always");
  pod("gone", "gone:1", "Always");
  await cluster.clock.forward(60_000);
  expect(first(cluster, "never").state!.waiting!.reason).toBe("ErrImageNeverPull");
  expect(count(cluster, "Warning ErrImageNeverPull")).toBe(7);
  expect(count(cluster, "Error: ErrImageNeverPull")).toBe(7);
  expect(count(cluster, "Error: InvalidImageName")).toBe(7);
  expect(count(cluster, "Warning InspectFailed")).toBe(7);
  // Pulled at 0, 11 and 31 seconds; in between only the back-off is reported.
  expect(count(cluster, "Normal Pulling")).toBe(3);
  expect(count(cluster, "Normal BackOff")).toBe(4);
  await cluster.manager.stop();
});

test("retries a sandbox that cannot be created every ten seconds, whatever wakes the pod", async () => {
  const cluster = new Cluster();
  let tries = 0;
  cluster.runtime.pods.runSandbox = async () => {
    tries++;
    throw new RuntimeError("network", "no addresses left");
  };
  cluster.create(makePod("p"));
  await cluster.settle();
  for (let touch = 0; touch < 5; touch++) {
    cluster.change("p", (pod) => {
      pod.metadata.labels = { touched: String(touch) };
    });
    await cluster.settle();
  }
  expect(tries).toBe(1);
  expect(cluster.status("p")).toMatchObject({
    phase: "Pending",
    containerStatuses: [{ state: { waiting: { reason: "ContainerCreating" } } }],
  });
  await cluster.clock.forward(60_000);
  expect(tries).toBe(7);
  expect(count(cluster, "Warning FailedCreatePodSandBox Failed to create pod sandbox: no addresses left")).toBe(7);
  cluster.remove("p");
  await cluster.settle();
  expect(cluster.pods.size).toBe(0);
  await cluster.manager.stop();
});

test("restarts a container at once after a long run", async () => {
  const cluster = new Cluster();
  cluster.create(makePod("p"));
  await cluster.settle();
  const crash = async (): Promise<void> => {
    const [sandbox] = await cluster.runtime.pods.list();
    cluster.runtime.exit(sandbox!.containers.find(({ state }) => state === "running")!.id, 1);
    await cluster.settle();
  };
  await crash();
  await crash();
  expect(first(cluster, "p").state!.waiting!.reason).toBe("CrashLoopBackOff");
  await cluster.clock.forward(700_000);
  await crash();
  expect(first(cluster, "p").state!.running).toBeDefined();
  await crash();
  expect(first(cluster, "p").state!.waiting!.message).toContain("back-off 10s");
  await cluster.manager.stop();
});

test("returns the log of the container that the node's own status names", async () => {
  const cluster = new Cluster();
  cluster.create(makePod("p"));
  await cluster.settle();
  cluster.beforeWrite.hook = () => {
    throw new Error("the API does not answer");
  };
  const [sandbox] = await cluster.runtime.pods.list();
  cluster.runtime.exit(sandbox!.containers[0]!.id, 1);
  await cluster.settle();
  expect(first(cluster, "p").restartCount).toBe(0);
  expect(cluster.manager.find("default", "p")!.status!.containerStatuses![0]!.restartCount).toBe(1);
  await cluster.manager.stop();
});
