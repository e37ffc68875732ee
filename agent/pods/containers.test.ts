import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { RuntimeError } from "#agent/runtime";
import { podVolumes } from "#agent/volumes";
import { silentLog } from "#base";
import { Cluster, condition, makeContainer, makePod } from "./testing.ts";

test("runs init containers one after the other and keeps sidecars running", async () => {
  const cluster = new Cluster();
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

test("fails the pod when an init container fails for good; a finished pod ends its sidecars", async () => {
  const cluster = new Cluster();
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

test("reports pull errors, back-off, missing images with policy Never, and invalid names", async () => {
  let broken = true;
  const cluster = new Cluster({
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
  await cluster.clock.forward(2000);
  expect(waiting("gone")).toEqual({
    reason: "ImagePullBackOff",
    message: 'Back-off pulling image "gone:1": ErrImagePull: gone:1: not found',
  });
  broken = false;
  await cluster.clock.forward(11_000);
  expect(cluster.status("gone").phase).toBe("Running");
  await cluster.manager.stop();
});

test("pulls with a pod's secrets before the node's own credentials, which may fail", async () => {
  const own = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
  const requested: string[] = [];
  const warnings: unknown[] = [];
  const cluster = new Cluster({
    registryCredentials: async (reference) => {
      requested.push(reference);
      if (reference.includes("broken")) throw new Error("400 AccessDeniedException");
      return reference.startsWith(own) ? { username: "AWS", password: "the node's" } : undefined;
    },
    log: { ...silentLog, warn: (message, fields) => warnings.push([message, fields]) },
  });
  const pull = vi.spyOn(cluster.runtime.images, "pull");
  const secret = (name: string, registry: string) => {
    const auths = JSON.stringify({ auths: { [registry]: { username: name, password: "a secret's" } } });
    cluster.secrets.set(name, {
      metadata: { name },
      data: { ".dockerconfigjson": Buffer.from(auths).toString("base64") },
    });
  };
  secret("fits", `https://${own}`);
  secret("other", "registry.example.com");
  for (const [name, image, ...secrets] of [
    ["with", `${own}/app:1`, "other", "fits"],
    ["without", `${own}/app:2`],
    ["beside", `${own}/app:3`, "other", "absent"],
    ["foreign", "nginx:1"],
    ["failing", `${own}/broken:1`],
  ] as const) {
    const imagePullSecrets = secrets.map((each) => ({ name: each }));
    cluster.create(makePod(name, { spec: { containers: [makeContainer("main", { image })], imagePullSecrets } }));
  }
  await cluster.settle();
  expect(Object.fromEntries(pull.mock.calls.map(([reference, credentials]) => [reference, credentials]))).toEqual({
    [`${own}/app:1`]: { username: "fits", password: "a secret's" },
    [`${own}/app:2`]: { username: "AWS", password: "the node's" },
    [`${own}/app:3`]: { username: "AWS", password: "the node's" },
    "nginx:1": undefined,
    [`${own}/broken:1`]: undefined,
  });
  expect(requested.toSorted()).toEqual([`${own}/app:2`, `${own}/app:3`, `${own}/broken:1`, "nginx:1"]);
  expect(warnings).toEqual([
    [
      "an image is pulled without the node's credentials",
      { image: `${own}/broken:1`, error: "400 AccessDeniedException" },
    ],
  ]);
  expect(cluster.status("failing").phase).toBe("Running");
  await cluster.manager.stop();
});

test("builds the environment from all sources and expands it into the command", async () => {
  const cluster = new Cluster();
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

// Upstream's makeMounts and resolveRecursiveReadOnly; the fake runtime has no recursive read-only mounts.
test.each([
  {
    name: "recursive read-only where the runtime has it not",
    mount: { readOnly: true, recursiveReadOnly: "Enabled" },
    words:
      'failed to resolve recursive read-only mode: volume "v" requested recursive read-only mode, but it is not supported by the runtime',
  },
  {
    name: "a subPath that variables make absolute",
    mount: { subPathExpr: "$(ROOT)" },
    words: "error SubPath `/etc` must not be an absolute path",
  },
  {
    name: "a subPath that variables lead out of the volume",
    mount: { subPathExpr: "a/$(UP)" },
    words: "unable to provision SubPath `a/../../etc`: must not contain '..'",
  },
  {
    name: "recursive read-only if possible",
    mount: { readOnly: true, recursiveReadOnly: "IfPossible" },
    words: undefined,
  },
])("mounts of a container: $name", async ({ mount, words }) => {
  const cluster = new Cluster();
  const env = [
    { name: "ROOT", value: "/etc" },
    { name: "UP", value: "../../etc" },
  ];
  const main = makeContainer("main", { env, volumeMounts: [{ name: "v", mountPath: "/v", ...mount }] });
  cluster.create(makePod("app", { spec: { containers: [main], volumes: [{ name: "v", emptyDir: {} }] } }));
  await cluster.settle();
  const { waiting } = cluster.status("app").containerStatuses![0]!.state!;
  expect(waiting).toEqual(words && { reason: "CreateContainerConfigError", message: words });
  await cluster.manager.stop();
});

test("waits with CreateContainerConfigError until the objects that a container names exist", async () => {
  const cluster = new Cluster();
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

test("waits for volumes that cannot be mounted; reads termination messages from their file", async () => {
  const folder = await mkdtemp(join(tmpdir(), "skiff-pods-"));
  const cluster = new Cluster({
    volumes: (api) =>
      podVolumes({
        folder,
        memory: false,
        configMap: (namespace, name) => api.configMap(namespace, name),
        secret: (namespace, name) => api.secret(namespace, name),
        host: { ips: [] },
        allocatable: {},
      }),
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

test("readiness probes set the condition, liveness probes restart, startup probes delay both", async () => {
  const cluster = new Cluster();
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

test("runs postStart hooks before the container is ready, preStop hooks before it is stopped", async () => {
  const cluster = new Cluster();
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

test("replaces a container whose image has changed; fails the pod at its deadline", async () => {
  const cluster = new Cluster();
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

test("resizes cpu and memory in place, or by a restart when the policy requires it", async () => {
  const cluster = new Cluster();
  const resized: unknown[] = [];
  const { pods } = cluster.runtime;
  const resizeContainer = pods.resizeContainer.bind(pods);
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

test("refuses unsupported fields by name", async () => {
  const cluster = new Cluster();
  const sysctls = [{ name: "kernel.msgmax", value: "1" }];
  cluster.create(makePod("sysctl", { spec: { securityContext: { sysctls } } }));
  cluster.create(makePod("windows", { spec: { os: { name: "windows" } } }));
  cluster.create(makePod("class", { spec: { runtimeClassName: "gvisor" } }));
  const block = makeContainer("main", { volumeDevices: [{ name: "v", devicePath: "/dev/x" }] });
  cluster.create(makePod("block", { spec: { containers: [block] } }));
  await cluster.settle();
  expect(cluster.status("sysctl")).toMatchObject({
    phase: "Failed",
    reason: "SysctlForbidden",
    message: 'Pod was rejected: forbidden sysctl: "kernel.msgmax" not allowlisted',
  });
  expect(cluster.events).toContain('Warning SysctlForbidden forbidden sysctl: "kernel.msgmax" not allowlisted');
  expect(cluster.status("windows").reason).toBe("PodOSNotSupported");
  expect(cluster.status("class").phase).toBe("Pending");
  expect(cluster.events).toContain(
    'Warning FailedCreatePodSandBox Failed to create pod sandbox: runtimeclass.node.k8s.io "gvisor" not found',
  );
  expect(cluster.status("block").containerStatuses![0]!.state!.waiting?.message).toContain("volumeDevices");
  // None of their containers was created.
  const created = (await cluster.runtime.pods.list()).flatMap(({ containers }) => containers);
  expect(created).toEqual([]);
  await cluster.manager.stop();
});
