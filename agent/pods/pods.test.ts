import { expect, test } from "vitest";
import { conflict } from "#base";
import { behaviour, Cluster, condition, makeContainer, makePod } from "./testing.ts";

test("starts a pod with its status, conditions and events, and writes no status twice", async () => {
  const cluster = new Cluster();
  cluster.create(
    makePod("web", { spec: { containers: [makeContainer("main", { resources: { requests: { cpu: "1" } } })] } }),
  );
  await cluster.settle();
  const status = cluster.status("web");
  expect(status).toMatchObject({
    phase: "Running",
    observedGeneration: 1,
    hostIP: "192.168.0.1",
    hostIPs: [{ ip: "192.168.0.1" }],
    podIP: "10.244.0.2",
    podIPs: [{ ip: "10.244.0.2" }],
    startTime: "2026-01-01T00:00:00Z",
    qosClass: "Burstable",
    containerStatuses: [
      {
        name: "main",
        ready: true,
        started: true,
        restartCount: 0,
        image: "nginx:1",
        state: { running: { startedAt: "2026-01-01T00:00:00Z" } },
        allocatedResources: { cpu: "1" },
      },
    ],
  });
  expect(status.containerStatuses![0]!.containerID).toMatch(/^fake:\/\/\w+$/);
  expect(status.conditions!.map(({ type, status: is, observedGeneration }) => [type, is, observedGeneration])).toEqual([
    ["PodReadyToStartContainers", "True", 1],
    ["Initialized", "True", 1],
    ["Ready", "True", 1],
    ["ContainersReady", "True", 1],
    ["PodScheduled", "True", 1],
  ]);
  expect(cluster.events).toEqual([
    'Normal Pulling Pulling image "nginx:1"',
    'Normal Pulled Successfully pulled image "nginx:1" in 0s (0s including waiting). Image size: 1000000 bytes.',
    "Normal Created Container created",
    "Normal Started Container started",
  ]);
  const writes = cluster.writes();
  await cluster.clock.forward(600_000);
  expect(cluster.writes()).toBe(writes);
  await cluster.manager.stop();
});

test("deletes a pod: stops it, writes the final status, deletes the object and frees the address", async () => {
  const cluster = new Cluster();
  cluster.create(makePod("web", { annotations: { [behaviour.ignoreStop]: "true" } }));
  await cluster.settle();
  cluster.remove("web", 30);
  await cluster.clock.forward(29_000);
  expect(cluster.pods.has("web")).toBe(true);
  expect(cluster.events.at(-1)).toBe("Normal Killing Stopping container main");
  const last = new Promise((resolve) => {
    cluster.beforeWrite.hook = (pod) => resolve(pod.status);
  });
  await cluster.clock.forward(2000);
  expect(await last).toMatchObject({
    phase: "Failed",
    containerStatuses: [{ ready: false, state: { terminated: { exitCode: 137, reason: "Error" } } }],
  });
  expect(cluster.pods.size).toBe(0);
  expect(await cluster.runtime.pods.list()).toEqual([]);
  expect(cluster.manager.list()).toEqual([]);
  await cluster.manager.stop();
});

test("a later deletion shortens the grace period; a pod that is missing in the API is ended too", async () => {
  const cluster = new Cluster();
  const stubborn = { annotations: { [behaviour.ignoreStop]: "true" } };
  cluster.create(makePod("a", stubborn));
  const { metadata } = cluster.create(makePod("b", stubborn));
  await cluster.settle();
  cluster.remove("a", 100);
  await cluster.clock.forward(5000);
  cluster.remove("a", 0);
  await cluster.settle();
  expect(cluster.pods.has("a")).toBe(false);
  cluster.pods.delete("b");
  void cluster.manager.delete(metadata.uid!);
  await cluster.clock.forward(31_000);
  expect(await cluster.runtime.pods.list()).toEqual([]);
  await cluster.manager.stop();
});

test("restarts failed containers with growing delays and reports the back-off", async () => {
  const cluster = new Cluster();
  const main = makeContainer("main", { command: ["sh", "-c", "exit 3"] });
  const pod = cluster.create(makePod("crash", { spec: { containers: [main] } }));
  await cluster.settle();
  // The first restart has no delay.
  expect(cluster.status("crash").containerStatuses![0]).toMatchObject({
    restartCount: 1,
    ready: false,
    started: false,
    state: {
      waiting: {
        reason: "CrashLoopBackOff",
        message: `back-off 10s restarting failed container=main pod=crash_default(${pod.metadata.uid})`,
      },
    },
    lastState: { terminated: { exitCode: 3, reason: "Error" } },
  });
  expect(cluster.status("crash").phase).toBe("Running");
  expect(cluster.events).toContain(
    `Warning BackOff Back-off restarting failed container main in pod crash_default(${pod.metadata.uid})`,
  );
  await cluster.clock.forward(10_000);
  expect(cluster.status("crash").containerStatuses![0]!.restartCount).toBe(2);
  await cluster.clock.forward(19_000);
  expect(cluster.status("crash").containerStatuses![0]!.restartCount).toBe(2);
  await cluster.clock.forward(1000);
  expect(cluster.status("crash").containerStatuses![0]!.restartCount).toBe(3);
  // One exited container stays for its log.
  expect((await cluster.runtime.pods.list())[0]!.containers.length).toBeLessThanOrEqual(2);
  await cluster.manager.stop();
});

test("applies restart policies: Succeeded, Failed, started again", async () => {
  const cluster = new Cluster();
  const runs = (script: string) => [makeContainer("main", { command: ["sh", "-c", script] })];
  cluster.create(makePod("done", { spec: { restartPolicy: "OnFailure", containers: runs("exit 0") } }));
  cluster.create(makePod("failed", { spec: { restartPolicy: "Never", containers: runs("exit 1") } }));
  cluster.create(makePod("again", { spec: { restartPolicy: "OnFailure", containers: runs("exit 1") } }));
  await cluster.settle();
  await cluster.settle();
  expect(cluster.status("done")).toMatchObject({ phase: "Succeeded", podIP: expect.any(String) });
  expect(condition(cluster.status("done"), "Ready")).toBe("False PodCompleted");
  expect(condition(cluster.status("done"), "Initialized")).toBe("True PodCompleted");
  expect(condition(cluster.status("done"), "PodReadyToStartContainers")).toBe("False");
  expect(cluster.status("failed").phase).toBe("Failed");
  expect(condition(cluster.status("failed"), "Ready")).toBe("False PodFailed");
  expect(cluster.status("again").containerStatuses![0]!.restartCount).toBe(1);
  // Ended pods keep their containers for logs, and no network.
  const states = (await cluster.runtime.pods.list()).map(({ name, state }) => `${name} ${state}`);
  expect(states.sort()).toEqual(["again ready", "done notReady", "failed notReady"]);
  await cluster.manager.stop();
});

test("a restarted agent adopts running containers, restarts none, and ends pods that no longer exist", async () => {
  const cluster = new Cluster();
  const probed = makeContainer("main", { readinessProbe: { exec: { command: ["true"] }, periodSeconds: 5 } });
  cluster.create(makePod("kept", { spec: { containers: [probed] } }));
  const { metadata } = cluster.create(makePod("dropped"));
  await cluster.clock.forward(6000);
  const before = cluster.status("kept");
  expect(condition(before, "Ready")).toBe("True");
  const writes = cluster.writes();
  cluster.pods.delete("dropped");
  await cluster.restart();
  await cluster.clock.forward(20_000);
  expect(cluster.status("kept")).toEqual(before);
  expect(cluster.writes()).toBe(writes);
  const uids = (await cluster.runtime.pods.list()).map(({ uid }) => uid);
  expect(uids).not.toContain(metadata.uid);
  expect(uids.length).toBe(1);
  await cluster.manager.stop();
});

test("overwrites other writers' changes of a status, and does not retry a refused status forever", async () => {
  const cluster = new Cluster();
  cluster.create(makePod("p"));
  await cluster.settle();
  cluster.change("p", (pod) => {
    for (const one of pod.status!.conditions!) if (one.type === "Ready") one.status = "False";
  });
  await cluster.settle();
  expect(condition(cluster.status("p"), "Ready")).toBe("True");
  let tries = 0;
  cluster.beforeWrite.hook = () => {
    tries++;
    throw new Error("no");
  };
  cluster.change("p", (pod) => {
    pod.status!.phase = "Pending";
  });
  await cluster.clock.forward(60_000);
  expect(tries).toBeGreaterThan(3);
  expect(tries).toBeLessThan(10);
  await cluster.manager.stop();
});

test("leaves the status of an ended pod whose containers the runtime has lost", async () => {
  const cluster = new Cluster();
  const main = makeContainer("main", { command: ["false"] });
  cluster.create(makePod("p", { spec: { restartPolicy: "Never", containers: [main] } }));
  await cluster.settle();
  const before = cluster.status("p");
  expect(before.phase).toBe("Failed");
  for (const { id } of await cluster.runtime.pods.list()) await cluster.runtime.pods.removeSandbox(id);
  await cluster.restart();
  await cluster.clock.forward(5000);
  expect(cluster.status("p")).toEqual(before);
  await cluster.manager.stop();
});

test("replaces a failed sandbox and its containers", async () => {
  const cluster = new Cluster();
  cluster.create(makePod("p"));
  await cluster.settle();
  const [sandbox] = await cluster.runtime.pods.list();
  await cluster.runtime.pods.stopSandbox(sandbox!.id);
  await cluster.settle();
  expect(cluster.events).toContain("Normal SandboxChanged Pod sandbox changed, it will be killed and re-created.");
  expect(cluster.status("p")).toMatchObject({ phase: "Running", podIP: "10.244.0.3" });
  expect(cluster.status("p").containerStatuses![0]!.restartCount).toBe(1);
  await cluster.manager.stop();
});

test("evaluates readiness gates, keeps foreign conditions and retries conflicts", async () => {
  const cluster = new Cluster();
  let conflicts = 2;
  cluster.beforeWrite.hook = (pod) => {
    if (conflicts-- > 0) throw conflict({ group: "", resource: "pods" }, pod.metadata.name ?? "", "try again");
  };
  cluster.create(makePod("p", { spec: { readinessGates: [{ conditionType: "example.com/go" }] } }));
  await cluster.settle();
  expect(condition(cluster.status("p"), "Ready")).toBe("False ReadinessGatesNotReady");
  cluster.change("p", (pod) => {
    pod.status!.conditions!.push({ type: "example.com/go", status: "True" });
  });
  await cluster.settle();
  expect(condition(cluster.status("p"), "Ready")).toBe("True");
  expect(condition(cluster.status("p"), "example.com/go")).toBe("True");
  await cluster.manager.stop();
});

// Upstream's SyncPod kills and starts in one step, and reports the status before it.
test("a container whose image changes is replaced without a status that it has ended", async () => {
  const cluster = new Cluster();
  cluster.create(makePod("p"));
  await cluster.settle();
  const seen: (boolean | undefined)[] = [];
  cluster.beforeWrite.hook = ({ status }) => {
    seen.push(status?.containerStatuses?.[0]?.ready);
  };
  cluster.change("p", (pod) => {
    pod.spec!.containers[0]!.image = "nginx:2";
  });
  await cluster.settle();
  expect(cluster.status("p").containerStatuses![0]).toMatchObject({ image: "nginx:2", restartCount: 1, ready: true });
  expect(seen).not.toContain(false);
  await cluster.manager.stop();
});
