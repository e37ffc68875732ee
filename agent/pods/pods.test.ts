import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { RuntimeError } from "#agent/runtime";
import { podVolumes } from "#agent/volumes";
import type { PodStatus } from "#api";
import { conflict } from "#base";
import { behaviour, makeCluster, makeContainer, makePod } from "./testing.ts";

const condition = (status: PodStatus, type: string) => {
  const found = status.conditions?.find((one) => one.type === type);
  return found && [found.status, found.reason].filter(Boolean).join(" ");
};

test("a pod comes up: status, conditions, events; nothing is written twice", async () => {
  const cluster = makeCluster();
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
    "Normal Created Created container: main",
    "Normal Started Started container main",
  ]);
  const writes = cluster.writes();
  await cluster.clock.forward(600_000);
  expect(cluster.writes()).toBe(writes);
  await cluster.manager.stop();
});

test("deletion: stop, final status, then the object goes; the address is free", async () => {
  const cluster = makeCluster();
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

test("a later deletion leaves less time; a pod that vanished is ended too", async () => {
  const cluster = makeCluster();
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
  cluster.manager.delete(metadata.uid!);
  await cluster.clock.forward(31_000);
  expect(await cluster.runtime.pods.list()).toEqual([]);
  await cluster.manager.stop();
});

test("containers that fail are restarted with growing delays, and say so meanwhile", async () => {
  const cluster = makeCluster();
  const main = makeContainer("main", { command: ["sh", "-c", "exit 3"] });
  const pod = cluster.create(makePod("crash", { spec: { containers: [main] } }));
  await cluster.settle();
  // The first restart is at once.
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
  // One dead container stays for its log.
  expect((await cluster.runtime.pods.list())[0]!.containers.length).toBeLessThanOrEqual(2);
  await cluster.manager.stop();
});

test("restart policies decide the end: Succeeded, Failed, started again", async () => {
  const cluster = makeCluster();
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

test("init containers run one after the other, sidecars stay", async () => {
  const cluster = makeCluster();
  const init = (name: string, script: string, more = {}) =>
    makeContainer(name, { command: ["sh", "-c", script], image: "busybox:1", ...more });
  cluster.create(
    makePod("app", {
      spec: {
        initContainers: [
          init("first", "sleep 5"),
          init("side", "sleep 1000", { restartPolicy: "Always" }),
          init("second", "sleep 5"),
        ],
      },
    }),
  );
  await cluster.settle();
  expect(cluster.status("app").phase).toBe("Pending");
  expect(condition(cluster.status("app"), "Initialized")).toBe("False ContainersNotInitialized");
  expect(cluster.status("app").containerStatuses![0]!.state).toEqual({ waiting: { reason: "PodInitializing" } });
  await cluster.clock.forward(5000);
  expect(cluster.status("app").initContainerStatuses!.map(({ ready, started }) => [ready, started])).toEqual([
    [true, false],
    [true, true],
    [false, true],
  ]);
  await cluster.clock.forward(5000);
  expect(cluster.status("app").phase).toBe("Running");
  expect(condition(cluster.status("app"), "Ready")).toBe("True");
  cluster.remove("app");
  await cluster.settle();
  const killed = cluster.events.filter((event) => event.includes("Stopping"));
  expect(killed).toEqual(["Normal Killing Stopping container main", "Normal Killing Stopping container side"]);
  await cluster.manager.stop();
});

test("an init container that fails for good fails the pod; a finished one ends its sidecars", async () => {
  const cluster = makeCluster();
  const bad = makeContainer("bad", { command: ["false"] });
  cluster.create(makePod("broken", { spec: { restartPolicy: "Never", initContainers: [bad] } }));
  const side = makeContainer("side", { command: ["sleep", "1000"], restartPolicy: "Always" });
  const main = makeContainer("main", { command: ["sleep", "5"] });
  cluster.create(makePod("job", { spec: { restartPolicy: "Never", initContainers: [side], containers: [main] } }));
  await cluster.clock.forward(6000);
  expect(cluster.status("broken").phase).toBe("Failed");
  expect(cluster.status("broken").containerStatuses![0]!.state).toEqual({ waiting: { reason: "PodInitializing" } });
  expect(cluster.status("job").phase).toBe("Succeeded");
  await cluster.manager.stop();
});

test("images: pull errors and back-off, never, wrong names", async () => {
  let broken = true;
  const cluster = makeCluster({
    pullError: (reference) =>
      broken && reference.startsWith("gone") ? new RuntimeError("notFound", "gone:1: not found") : undefined,
  });
  const image = (name: string, policy: string) => [makeContainer("main", { image: name, imagePullPolicy: policy })];
  cluster.create(makePod("gone", { spec: { containers: image("gone:1", "IfNotPresent") } }));
  cluster.create(makePod("never", { spec: { containers: image("absent", "Never") } }));
  cluster.create(makePod("wrong", { spec: { containers: image("Not/A/Name:", "Always") } }));
  await cluster.settle();
  const waiting = (name: string) => cluster.status(name).containerStatuses![0]!.state!.waiting;
  expect(cluster.events).toContain('Warning Failed Failed to pull image "gone:1": gone:1: not found');
  expect(cluster.events).toContain("Warning Failed Error: ErrImagePull");
  expect(waiting("gone")).toEqual({ reason: "ErrImagePull", message: "gone:1: not found" });
  expect(waiting("never")?.reason).toBe("ErrImageNeverPull");
  expect(waiting("wrong")?.reason).toBe("InvalidImageName");
  expect(cluster.status("gone").phase).toBe("Pending");
  cluster.change("gone", (pod) => {
    pod.metadata.labels = { touched: "yes" };
  });
  await cluster.settle();
  expect(waiting("gone")?.reason).toBe("ErrImagePull");
  await cluster.clock.forward(20_000);
  expect(waiting("gone")).toEqual({
    reason: "ImagePullBackOff",
    message: 'Back-off pulling image "gone:1": ErrImagePull: gone:1: not found',
  });
  broken = false;
  await cluster.clock.forward(11_000);
  expect(cluster.status("gone").phase).toBe("Running");
  await cluster.manager.stop();
});

test("environment from everywhere, expanded into the command", async () => {
  const cluster = makeCluster();
  cluster.configMaps.set("settings", { metadata: { name: "settings" }, data: { a: "1", b: "2" } });
  cluster.secrets.set("keys", { metadata: { name: "keys" }, data: { token: Buffer.from("hush").toString("base64") } });
  cluster.services.push(
    {
      metadata: { name: "kubernetes", namespace: "default" },
      spec: { clusterIP: "10.96.0.1", ports: [{ name: "https", port: 443, protocol: "TCP" }] },
    },
    {
      metadata: { name: "my-db", namespace: "default" },
      spec: { clusterIP: "10.96.0.9", ports: [{ port: 5432, protocol: "TCP" }] },
    },
    { metadata: { name: "headless", namespace: "default" }, spec: { clusterIP: "None", ports: [{ port: 1 }] } },
  );
  const main = makeContainer("main", {
    command: ["sh", "-c", "echo '$(WHO) $$kept) $(UNKNOWN)'; env"],
    envFrom: [{ prefix: "P_", configMapRef: { name: "settings" } }, { secretRef: { name: "none", optional: true } }],
    env: [
      { name: "WHO", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
      { name: "BOTH", value: "$(WHO)-$(P_a)" },
      { name: "IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
      { name: "CPU", valueFrom: { resourceFieldRef: { resource: "limits.cpu" } } },
      { name: "TOKEN", valueFrom: { secretKeyRef: { name: "keys", key: "token" } } },
      { name: "NONE", valueFrom: { configMapKeyRef: { name: "settings", key: "zzz", optional: true } } },
    ],
  });
  cluster.create(makePod("env", { spec: { restartPolicy: "Never", containers: [main] } }));
  await cluster.settle();
  const [sandbox] = await cluster.runtime.pods.list();
  const parts: Uint8Array[] = [];
  for await (const part of cluster.runtime.streams.logs(sandbox!.containers[0]!.id, {})) parts.push(part);
  const lines = Buffer.concat(parts).toString().split("\n");
  expect(lines[0]).toBe("env $kept) $(UNKNOWN)");
  for (const line of [
    "P_a=1",
    "BOTH=env-1",
    "IP=10.244.0.2",
    "CPU=4",
    "TOKEN=hush",
    "KUBERNETES_SERVICE_HOST=10.96.0.1",
    "KUBERNETES_SERVICE_PORT_HTTPS=443",
    "KUBERNETES_PORT_443_TCP=tcp://10.96.0.1:443",
    "MY_DB_SERVICE_PORT=5432",
  ]) {
    expect(lines).toContain(line);
  }
  expect(lines.some((line) => line.startsWith("NONE") || line.startsWith("HEADLESS"))).toBe(false);
  await cluster.manager.stop();
});

test("what a container names and nobody has: CreateContainerConfigError, until it is there", async () => {
  const cluster = makeCluster();
  const main = makeContainer("main", { envFrom: [{ configMapRef: { name: "late" } }] });
  cluster.create(makePod("env", { spec: { containers: [main] } }));
  await cluster.settle();
  expect(cluster.status("env").containerStatuses![0]!.state!.waiting).toEqual({
    reason: "CreateContainerConfigError",
    message: 'configmap "late" not found',
  });
  expect(cluster.events).toContain('Warning Failed Error: configmap "late" not found');
  cluster.configMaps.set("late", { metadata: { name: "late" }, data: {} });
  await cluster.clock.forward(10_000);
  expect(cluster.status("env").phase).toBe("Running");
  await cluster.manager.stop();
});

test("volumes that cannot be had hold the pod back; termination messages come from their file", async () => {
  const folder = await mkdtemp(join(tmpdir(), "skiff-pods-"));
  const cluster = makeCluster({
    volumes: (api) =>
      podVolumes({ folder, configMap: api.configMap, secret: api.secret, host: { ips: [] }, allocatable: {} }),
  });
  const main = makeContainer("main", {
    command: ["sh", "-c", "cat /etc/settings/a > /dev/termination-log; exit 2"],
    volumeMounts: [{ name: "settings", mountPath: "/etc/settings" }],
    terminationMessagePath: "/dev/termination-log",
  });
  const volumes = [{ name: "settings", configMap: { name: "late" } }];
  cluster.create(makePod("p", { spec: { restartPolicy: "Never", containers: [main], volumes } }));
  await cluster.settle();
  expect(cluster.status("p").containerStatuses![0]!.state).toEqual({ waiting: { reason: "ContainerCreating" } });
  expect(cluster.events[0]).toBe(
    'Warning FailedMount MountVolume.SetUp failed for volume "settings" : configmap "late" not found',
  );
  cluster.configMaps.set("late", { metadata: { name: "late" }, data: { a: "last words" } });
  await cluster.clock.forward(5000);
  await cluster.settle();
  expect(cluster.status("p").containerStatuses![0]!.state!.terminated).toMatchObject({
    exitCode: 2,
    message: "last words",
  });
  cluster.remove("p");
  await cluster.settle();
  await cluster.settle();
  expect(cluster.pods.size).toBe(0);
  await cluster.manager.stop();
  await rm(folder, { recursive: true });
});

test("probes: readiness turns the condition, liveness restarts, startup holds both back", async () => {
  const cluster = makeCluster();
  const exec = (script: string) => ({ exec: { command: ["sh", "-c", script] }, periodSeconds: 1, failureThreshold: 2 });
  const main = makeContainer("main", {
    command: ["sh", "-c", "sleep 5; echo x > /ready; sleep 5; echo x > /dead; sleep 1000"],
    readinessProbe: exec("test -f /ready"),
    livenessProbe: exec("test ! -f /dead"),
  });
  cluster.create(makePod("p", { spec: { containers: [main] } }));
  await cluster.clock.forward(3000);
  expect(condition(cluster.status("p"), "Ready")).toBe("False ContainersNotReady");
  expect(cluster.events.some((event) => event.startsWith("Warning Unhealthy Readiness probe failed: "))).toBe(true);
  await cluster.clock.forward(4000);
  expect(condition(cluster.status("p"), "Ready")).toBe("True");
  await cluster.clock.forward(6000);
  expect(cluster.events).toContain("Normal Killing Container main failed liveness probe, will be restarted");
  await cluster.clock.forward(1000);
  expect(cluster.status("p").containerStatuses![0]).toMatchObject({
    restartCount: 1,
    lastState: { terminated: { exitCode: 143 } },
  });
  const slow = makeContainer("main", {
    command: ["sleep", "1000"],
    startupProbe: exec("false"),
    livenessProbe: exec("false"),
  });
  cluster.create(makePod("slow", { spec: { containers: [slow] } }));
  await cluster.settle();
  expect(cluster.status("slow").containerStatuses![0]).toMatchObject({ started: false, ready: false });
  await cluster.clock.forward(2000);
  expect(cluster.events).toContain("Normal Killing Container main failed startup probe, will be restarted");
  expect(cluster.events.some((event) => event.startsWith("Warning Unhealthy Liveness probe failed: false"))).toBe(
    false,
  );
  await cluster.manager.stop();
});

test("hooks: postStart comes before ready, preStop before the stop", async () => {
  const cluster = makeCluster();
  const main = makeContainer("main", {
    command: ["sleep", "1000"],
    lifecycle: {
      postStart: { exec: { command: ["sh", "-c", "exit 1"] } },
      preStop: { sleep: { seconds: 7 } },
    },
  });
  cluster.create(makePod("bad", { spec: { containers: [main] } }));
  await cluster.settle();
  expect(cluster.events).toContain("Warning FailedPostStartHook PostStartHook failed");
  expect(cluster.status("bad").containerStatuses![0]!.ready).toBe(false);
  const good = makeContainer("main", { lifecycle: { preStop: { sleep: { seconds: 7 } } } });
  cluster.create(makePod("good", { spec: { containers: [good] } }));
  await cluster.settle();
  cluster.remove("good", 30);
  await cluster.clock.forward(6000);
  expect(cluster.pods.has("good")).toBe(true);
  await cluster.clock.forward(1500);
  expect(cluster.pods.has("good")).toBe(false);
  await cluster.manager.stop();
});

test("a restarted agent adopts what runs, restarts nothing, and ends what is not wanted any more", async () => {
  const cluster = makeCluster();
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

test("what somebody else makes of a status is put right; a rejected status is not tried without end", async () => {
  const cluster = makeCluster();
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

test("an ended pod whose containers the runtime has lost stays as it is", async () => {
  const cluster = makeCluster();
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

test("a sandbox that fell over is made again with its containers", async () => {
  const cluster = makeCluster();
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

test("a changed image means a new container; a deadline fails the pod", async () => {
  const cluster = makeCluster();
  cluster.create(makePod("p"));
  cluster.create(makePod("late", { spec: { activeDeadlineSeconds: 10 } }));
  await cluster.settle();
  cluster.change("p", (pod) => {
    pod.spec!.containers![0]!.image = "nginx:2";
  });
  await cluster.settle();
  expect(cluster.events).toContain("Normal Killing Container main definition changed, will be restarted");
  expect(cluster.status("p").containerStatuses![0]).toMatchObject({ image: "nginx:2", restartCount: 1, ready: true });
  await cluster.clock.forward(11_000);
  expect(cluster.status("late")).toMatchObject({ phase: "Failed", reason: "DeadlineExceeded" });
  await cluster.manager.stop();
});

test("other amounts of cpu and memory: in place, or by a restart where the policy says so", async () => {
  const cluster = makeCluster();
  const resized: unknown[] = [];
  const { resizeContainer } = cluster.runtime.pods;
  cluster.runtime.pods.resizeContainer = async (id, spec) => {
    resized.push(spec.cpuShares, spec.memoryBytes);
    await resizeContainer(id, spec);
  };
  const amounts = (cpu: string, memory: string) => ({ requests: { cpu }, limits: { memory } });
  const main = makeContainer("main", {
    resources: amounts("1", "64Mi"),
    resizePolicy: [{ resourceName: "memory", restartPolicy: "RestartContainer" }],
  });
  cluster.create(makePod("p", { spec: { containers: [main] } }));
  await cluster.settle();
  const resize = async (cpu: string, memory: string) => {
    cluster.change("p", (pod) => {
      pod.spec!.containers![0]!.resources = amounts(cpu, memory);
    });
    await cluster.settle();
    return cluster.status("p").containerStatuses![0]!.restartCount;
  };
  expect(await resize("2", "64Mi")).toBe(0);
  expect(resized).toEqual([2048, 64 * 2 ** 20]);
  await cluster.restart();
  await cluster.settle();
  expect(await resize("2", "128Mi")).toBe(1);
  expect(cluster.events).toContain("Normal Killing Container main resize requires restart");
  await cluster.manager.stop();
});

test("readiness gates count, foreign conditions stay, conflicts are overcome", async () => {
  const cluster = makeCluster();
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
