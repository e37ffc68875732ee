import { expect, test, vi } from "vitest";
import { noVolumes, VolumeError } from "#agent/volumes";
import { silentLog } from "#base";
import { Cluster, condition, makeContainer, makePod } from "./testing.ts";

test("an unexpected error for one pod affects only that pod, and is reported by event and log", async () => {
  const warnings: string[] = [];
  const volumes = noVolumes();
  let broken = true;
  const cluster = new Cluster({
    log: {
      ...silentLog,
      warn: (message, fields) => warnings.push(`${message} ${fields?.["pod"]} ${fields?.["error"]}`),
    },
    volumes: () => ({
      ...volumes,
      mount: async (pod) => {
        if (broken && pod.metadata.name === "bad") throw new TypeError("planted");
        return volumes.mount(pod);
      },
    }),
  });
  cluster.create(makePod("bad"));
  cluster.create(makePod("good"));
  await cluster.clock.forward(5000);
  expect(cluster.status("good").phase).toBe("Running");
  expect(cluster.status("bad").phase).toBe("Pending");
  expect(cluster.events).toContain("Warning FailedSync error syncing pod: planted");
  expect(warnings).toContain("a pod could not be synchronized bad planted");
  broken = false;
  await cluster.clock.forward(10_000);
  expect(cluster.status("bad").phase).toBe("Running");
  await cluster.manager.stop();
});

test("an unexpected error in a probe, a hook or an event ends neither pod nor agent", async () => {
  const cluster = new Cluster();
  vi.spyOn(cluster.runtime.streams, "run").mockImplementation((_id, [command]) => {
    if (command === "planted") throw new TypeError("planted");
    return Promise.resolve({ exitCode: 0, stdout: Buffer.from(""), stderr: Buffer.from("") });
  });
  const planted = { exec: { command: ["planted"] } };
  const probe = { ...planted, periodSeconds: 1, failureThreshold: 1 };
  cluster.create(makePod("probe", { spec: { containers: [makeContainer("main", { livenessProbe: probe })] } }));
  const hooked = makeContainer("main", { lifecycle: { preStop: planted } });
  cluster.create(makePod("hook", { spec: { containers: [hooked] } }));
  await cluster.clock.forward(5000);
  expect(cluster.status("probe").containerStatuses![0]).toMatchObject({ ready: true, restartCount: 0 });
  expect(cluster.events).toContain("Warning Unhealthy Liveness probe errored and resulted in unknown state: planted");
  cluster.remove("hook");
  await cluster.clock.forward(1000);
  expect(cluster.events).toContain("Warning FailedPreStopHook PreStopHook failed");
  expect(cluster.pods.has("hook")).toBe(false);
  await cluster.manager.stop();
});

test("inconsistent pods affect neither the start nor other pods, and can be deleted", async () => {
  const cluster = new Cluster();
  cluster.create(makePod("good"));
  const odd = [
    makePod("quantity", {
      spec: { containers: [makeContainer("main", { resources: { limits: { cpu: "no number" } } })] },
    }),
    makePod("time"),
    makePod("nothing"),
    makePod("containers"),
    makePod("statuses"),
  ];
  odd[1]!.status = { startTime: "yesterday", phase: "Running" };
  delete odd[2]!.spec;
  Object.assign(odd[3]!.spec!, { containers: [null, { name: "x" }], volumes: [{}, null] });
  odd[4]!.status = { containerStatuses: [null], conditions: [null] } as never;
  for (const pod of odd) cluster.create(pod);
  await cluster.clock.forward(3000);
  await cluster.restart();
  await cluster.clock.forward(3000);
  expect(cluster.status("good").phase).toBe("Running");
  cluster.create(makePod("later"));
  await cluster.clock.forward(1000);
  expect(cluster.status("later").phase).toBe("Running");
  for (const { metadata } of odd) cluster.remove(metadata.name!, 1);
  await cluster.clock.forward(200_000);
  expect([...cluster.pods.keys()].sort()).toEqual(["good", "later"]);
  await cluster.manager.stop();
});

// Upstream's rejectPod sets nothing else, and its manager adds the time.
test("a rejected pod has no container statuses, also after a restart of the agent", async () => {
  const cluster = new Cluster();
  const sysctls = [{ name: "kernel.msgmax", value: "1" }];
  const pod = makePod("sysctl", { spec: { securityContext: { sysctls } } });
  pod.status = { phase: "Pending", conditions: [{ type: "PodScheduled", status: "True" }], qosClass: "BestEffort" };
  cluster.create(pod);
  await cluster.settle();
  const expected = {
    observedGeneration: 1,
    phase: "Failed",
    reason: "SysctlForbidden",
    message: 'Pod was rejected: forbidden sysctl: "kernel.msgmax" not allowlisted',
    startTime: "2026-01-01T00:00:00Z",
    qosClass: "BestEffort",
  };
  expect(cluster.status("sysctl")).toEqual(expected);
  const writes = cluster.writes();
  await cluster.restart();
  await cluster.clock.forward(60_000);
  expect(cluster.status("sysctl")).toEqual(expected);
  expect(cluster.writes()).toBe(writes);
  await cluster.manager.stop();
});

// exponentialbackoff: 500 ms, doubled up to 2 m 2 s, whatever else wakes the pod.
test("retries a volume that cannot be mounted with growing delays", async () => {
  const volumes = noVolumes();
  let tries = 0;
  const cluster = new Cluster({
    volumes: () => ({
      ...volumes,
      mount: async () => {
        tries++;
        throw new VolumeError('MountVolume.SetUp failed for volume "v" : configmap "late" not found');
      },
    }),
  });
  cluster.create(makePod("p"));
  await cluster.settle();
  for (const label of ["a", "b", "c"]) {
    cluster.change("p", (pod) => {
      pod.metadata.labels = { label };
    });
    await cluster.settle();
  }
  expect(tries).toBe(1);
  await cluster.clock.forward(500);
  expect(tries).toBe(2);
  // At 1.5, 3.5, 7.5, 15.5, 31.5 and 63.5 seconds.
  await cluster.clock.forward(63_000);
  expect(tries).toBe(8);
  expect(cluster.events.every((event) => event.startsWith("Warning FailedMount MountVolume.SetUp failed"))).toBe(true);
  expect(cluster.events.length).toBe(8);
  expect(cluster.status("p").phase).toBe("Pending");
  expect(cluster.status("p").containerStatuses![0]!.state).toEqual({ waiting: { reason: "ContainerCreating" } });
  expect(condition(cluster.status("p"), "Initialized")).toBe("True");
  await cluster.manager.stop();
});
