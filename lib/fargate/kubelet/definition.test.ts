import { describe, expect, test } from "vitest";
import type { ConfigMap, Container, Pod, PodSpec } from "#api";
import { planOf, type TaskSettings } from "./definition.ts";
import { Missing } from "./env.ts";
import { refusalOf } from "./refusals.ts";
import { sizeOf } from "./sizes.ts";

const settings: TaskSettings = {
  cluster: "demo",
  region: "eu-west-1",
  logGroup: "/skiff/demo/pods",
  executionRole: "arn:aws:iam::123456789012:role/Execution",
};

const main = (more: object = {}): Container => ({ name: "main", image: "nginx:1.27", ...more }) as Container;
const podOf = (spec: object = {}, metadata: object = {}): Pod =>
  ({
    metadata: { name: "web-1", namespace: "shop", uid: "0e8ad3c2-0000-4000-8000-000000000001", ...metadata },
    spec: { restartPolicy: "Always", nodeName: "fargate", containers: [main()], ...spec },
  }) as Pod;
const maps = (data: Record<string, string>): Map<string, ConfigMap> =>
  new Map([["settings", { metadata: { name: "settings", namespace: "shop" }, data } as ConfigMap]]);
const plan = (pod: Pod, found = new Map<string, ConfigMap>()) => planOf(pod, found, settings);
const one = (more: object, spec: object = {}) =>
  plan(podOf({ ...spec, containers: [main(more)] })).definition.containerDefinitions[0]!;
const requests = (cpu: string, memory: string) => ({ resources: { requests: { cpu, memory } } });
const sized = (...asked: [string, string][]) =>
  sizeOf({
    containers: asked.map(([cpu, memory], index) => main({ name: `c${index}`, ...requests(cpu, memory) })),
  } as PodSpec);

describe("sizes", () => {
  test.each([
    [[["0", "0"]], { cpu: 256, memory: 512 }],
    [[["250m", "512Mi"]], { cpu: 256, memory: 512 }],
    [[["251m", "512Mi"]], { cpu: 512, memory: 1024 }],
    [[["100m", "2049Mi"]], { cpu: 512, memory: 3072 }],
    [
      [
        ["1", "1Gi"],
        ["1", "1Gi"],
      ],
      { cpu: 2048, memory: 4096 },
    ],
    [[["5", "17Gi"]], { cpu: 8192, memory: 20_480 }],
    [[["16", "120Gi"]], { cpu: 16_384, memory: 122_880 }],
    [[["16", "121Gi"]], undefined],
    [[["16001m", "1Gi"]], undefined],
  ] as [[string, string][], unknown][])("%j fit into %j", (asked, size) => {
    expect(sized(...asked)).toEqual(size);
  });

  test("an init container with a larger request than all others together decides", () => {
    const spec = { containers: [main()], initContainers: [main({ name: "first", ...requests("2", "1Gi") })] };
    expect(sizeOf(spec as PodSpec)).toEqual({ cpu: 2048, memory: 4096 });
  });

  test("limits that together exceed the task are left to the task", () => {
    const limit = (name: string, memory: string) =>
      main({ name, resources: { limits: { memory }, requests: { memory: "64Mi" } } });
    const shares = (memory: string) =>
      plan(podOf({ containers: [limit("a", memory), limit("b", memory)] })).definition.containerDefinitions.map(
        ({ memory: hard, memoryReservation: soft }) => [hard, soft],
      );
    expect(shares("256Mi")).toEqual([
      [256, 64],
      [256, 64],
    ]);
    expect(shares("512Mi")).toEqual([
      [undefined, 64],
      [undefined, 64],
    ]);
  });

  test("init containers get no share: ECS would add them up", () => {
    const first = main({ name: "first", ...requests("250m", "512Mi") });
    const { containerDefinitions } = plan(
      podOf({ initContainers: [first], containers: [main(requests("250m", "512Mi"))] }),
    ).definition;
    expect(containerDefinitions.map(({ cpu, memoryReservation }) => [cpu, memoryReservation])).toEqual([
      [undefined, undefined],
      [256, 512],
    ]);
  });
});

describe("definitions", () => {
  test("pods of one template share one, and its family is the cluster's", () => {
    const env = [{ name: "POD", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } }];
    const pod = (name: string) => podOf({ containers: [main({ env })] }, { name, uid: name });
    const [a, b] = [plan(pod("web-1")), plan(pod("web-2"))];
    expect(a.definition).toEqual(b.definition);
    expect(a.definition.family).toMatch(/^skiff-demo-[0-9a-f]{40}$/);
    expect([a.overrides, b.overrides]).toEqual(
      ["web-1", "web-2"].map((value) => [{ name: "main", environment: [{ name: "POD", value }] }]),
    );
  });

  test("every difference makes another definition", () => {
    const families = [
      podOf(),
      podOf({ containers: [main({ image: "nginx:1.28" })] }),
      podOf({ terminationGracePeriodSeconds: 5 }),
      podOf({ containers: [main(requests("1", "2Gi"))] }),
      podOf({ shareProcessNamespace: true }),
    ].map((pod) => plan(pod).definition.family);
    expect(new Set(families).size).toBe(families.length);
  });

  test("overrides that are too long become a part of the definition", () => {
    const env = [
      { name: "POD", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
      { name: "LONG", value: `$(POD)${"x".repeat(9000)}` },
    ];
    const { definition, overrides } = plan(podOf({ containers: [main({ env })] }));
    expect(overrides).toEqual([]);
    expect(definition.containerDefinitions[0]?.environment).toContainEqual({ name: "POD", value: "web-1" });
  });

  test("the first word of a command is the entry point; the rest can be overridden", () => {
    expect(one({ command: ["sh", "-c", "sleep 1"] })).toMatchObject({ entryPoint: ["sh"], command: ["-c", "sleep 1"] });
    expect(one({ args: ["--debug"] })).toMatchObject({ command: ["--debug"] });
    expect(one({ args: ["--debug"] }).entryPoint).toBeUndefined();
    const env = [{ name: "POD", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } }];
    const own = plan(podOf({ containers: [main({ env, command: ["echo", "$(POD)"], args: ["$$(POD)", "$(NONE)"] })] }));
    expect(own.overrides[0]).toMatchObject({ command: ["web-1", "$(POD)", "$(NONE)"] });
    expect(own.definition.containerDefinitions[0]?.command).toBeUndefined();
  });

  test("init containers run in order, sidecars from then on, and the other containers after them", () => {
    const always = { restartPolicy: "Always" };
    const { containerDefinitions } = plan(
      podOf({
        initContainers: [
          main({ name: "first" }),
          main({ name: "proxy", ...always, startupProbe: { exec: { command: ["up"] } } }),
          main({ name: "logs", ...always }),
        ],
      }),
    ).definition;
    expect(containerDefinitions.map(({ name, essential, dependsOn }) => [name, essential, dependsOn?.[0]])).toEqual([
      ["first", false, undefined],
      ["proxy", false, { containerName: "first", condition: "SUCCESS" }],
      ["logs", false, { containerName: "proxy", condition: "HEALTHY" }],
      ["main", true, { containerName: "logs", condition: "START" }],
    ]);
    expect(containerDefinitions.map(({ restartPolicy }) => restartPolicy?.enabled)).toEqual([
      undefined,
      true,
      true,
      true,
    ]);
  });

  test.each([
    ["Always", { enabled: true, restartAttemptPeriod: 60 }],
    ["OnFailure", { enabled: true, restartAttemptPeriod: 60, ignoredExitCodes: [0] }],
    ["Never", undefined],
  ])("restart policy %s", (restartPolicy, expected) => {
    expect(one({}, { restartPolicy }).restartPolicy).toEqual(expected);
  });

  test.each([
    [0, 2],
    [30, 30],
    [600, 120],
  ])("a grace of %d s is a stop timeout of %d s", (terminationGracePeriodSeconds, seconds) => {
    expect(one({}, { terminationGracePeriodSeconds }).stopTimeout).toBe(seconds);
  });

  test("an exec probe becomes the health check, with times within ECS's bounds", () => {
    const exec = { command: ["check"] };
    expect(
      one({ livenessProbe: { exec, periodSeconds: 1, timeoutSeconds: 1, failureThreshold: 30 } }).healthCheck,
    ).toEqual({
      command: ["CMD", "check"],
      interval: 5,
      timeout: 2,
      retries: 10,
      startPeriod: 0,
    });
    const startupProbe = { exec, periodSeconds: 10, failureThreshold: 6 };
    expect(one({ startupProbe, livenessProbe: { exec } }).healthCheck).toMatchObject({ startPeriod: 60, retries: 3 });
  });

  test("rights, volumes, terminals and disk", () => {
    const made = plan(
      podOf({
        securityContext: { runAsUser: 1000, runAsNonRoot: true },
        volumes: [{ name: "scratch", emptyDir: {} }],
        containers: [
          main({
            securityContext: { runAsGroup: 2000, readOnlyRootFilesystem: true, capabilities: { drop: ["ALL"] } },
            volumeMounts: [{ name: "scratch", mountPath: "/tmp", readOnly: true }],
            tty: true,
            resources: { requests: { "ephemeral-storage": "30Gi" } },
          }),
        ],
      }),
    ).definition;
    expect(made).toMatchObject({ volumes: [{ name: "scratch" }], ephemeralStorage: { sizeInGiB: 30 } });
    expect(made.containerDefinitions[0]).toMatchObject({
      user: "1000:2000",
      readonlyRootFilesystem: true,
      linuxParameters: { capabilities: { drop: ["ALL"] } },
      mountPoints: [{ sourceVolume: "scratch", containerPath: "/tmp", readOnly: true }],
      pseudoTerminal: true,
    });
  });

  test("a service account's token that admission adds is left out", () => {
    const { volumes, containerDefinitions } = plan(
      podOf({
        volumes: [{ name: "kube-api-access-x7k2p", projected: { sources: [] } }],
        containers: [main({ volumeMounts: [{ name: "kube-api-access-x7k2p", mountPath: "/var/run/secrets" }] })],
      }),
    ).definition;
    expect([volumes, containerDefinitions[0]?.mountPoints]).toEqual([[], []]);
  });
});

describe("the environment", () => {
  const environment = (more: object, found = maps({ colour: "blue", size: "large" })) =>
    plan(podOf({ containers: [main(more)] }), found).definition.containerDefinitions[0]!.environment;

  test("is read from ConfigMaps; later entries win", () => {
    const made = environment({
      envFrom: [{ prefix: "MY_", configMapRef: { name: "settings" } }],
      env: [
        { name: "MY_size", value: "small" },
        { name: "COLOUR", valueFrom: { configMapKeyRef: { name: "settings", key: "colour" } } },
        { name: "WORDS", value: "$(COLOUR) $(ABSENT) $$(COLOUR)" },
      ],
    });
    expect(made).toEqual([
      { name: "COLOUR", value: "blue" },
      { name: "MY_colour", value: "blue" },
      { name: "MY_size", value: "small" },
      { name: "WORDS", value: "blue $(ABSENT) $(COLOUR)" },
    ]);
  });

  test("names a missing object, unless it is optional", () => {
    const key = (name: string, optional = false) => ({
      env: [{ name: "A", valueFrom: { configMapKeyRef: { name, key: "absent", optional } } }],
    });
    expect(() => environment(key("nowhere"))).toThrow(new Missing("main", 'configmap "nowhere" not found'));
    expect(() => environment(key("settings"))).toThrow("couldn't find key absent in ConfigMap shop/settings");
    expect(() => environment({ envFrom: [{ configMapRef: { name: "nowhere" } }] })).toThrow(Missing);
    expect(environment(key("nowhere", true))).toEqual([]);
  });

  test("resources are in divisors, rounded up; without a limit they are the task's", () => {
    const ref = (resource: string, divisor?: string) => ({
      resourceFieldRef: { resource, ...(divisor ? { divisor } : {}) },
    });
    const made = environment({
      resources: { requests: { cpu: "300m" }, limits: { memory: "100Mi" } },
      env: [
        { name: "A", valueFrom: ref("limits.memory", "1Mi") },
        { name: "B", valueFrom: ref("requests.cpu") },
        { name: "C", valueFrom: ref("requests.cpu", "1m") },
        { name: "D", valueFrom: ref("limits.cpu", "1m") },
      ],
    });
    expect(made.map(({ value }) => value)).toEqual(["100", "1", "300", "500"]);
  });
});

describe("refuses by name what Fargate does not support", () => {
  const exec = { exec: { command: ["a"] } };
  const env = (valueFrom: object) => ({ containers: [main({ env: [{ name: "A", valueFrom }] })] });
  const with1 = (more: object) => ({ containers: [main(more)] });
  test.each<[string, object]>([
    ["spec.hostNetwork", { hostNetwork: true }],
    ["spec.hostPID", { hostPID: true }],
    ["spec.imagePullSecrets", { imagePullSecrets: [{ name: "a" }] }],
    ["spec.hostname", { hostname: "a" }],
    ["spec.dnsConfig", { dnsConfig: { nameservers: ["1.1.1.1"] } }],
    ["spec.securityContext.fsGroup", { securityContext: { fsGroup: 1 } }],
    ["spec.securityContext.seccompProfile", { securityContext: { seccompProfile: { type: "Unconfined" } } }],
    ["spec.volumes{v}.hostPath", { volumes: [{ name: "v", hostPath: { path: "/" } }] }],
    ["spec.volumes{v}.secret", { volumes: [{ name: "v", secret: { secretName: "a" } }] }],
    ["spec.volumes{v}.configMap", { volumes: [{ name: "v", configMap: { name: "a" } }] }],
    ["spec.volumes{v}.projected", { volumes: [{ name: "v", projected: { sources: [] } }] }],
    ["spec.volumes{v}.persistentVolumeClaim", { volumes: [{ name: "v", persistentVolumeClaim: { claimName: "a" } }] }],
    ["spec.volumes{v}.emptyDir.medium", { volumes: [{ name: "v", emptyDir: { medium: "Memory" } }] }],
    [
      "spec.volumes{kube-api-access-a}.projected",
      { automountServiceAccountToken: true, volumes: [{ name: "kube-api-access-a", projected: {} }] },
    ],
    [
      "spec.containers: with the restart policy Never",
      { restartPolicy: "Never", containers: [main(), main({ name: "b" })] },
    ],
    [
      "spec.containers: a task has 10",
      { containers: Array.from({ length: 11 }, (_, index) => main({ name: `c${index}` })) },
    ],
    ["securityContext.privileged", with1({ securityContext: { privileged: true } })],
    ["securityContext.allowPrivilegeEscalation", with1({ securityContext: { allowPrivilegeEscalation: false } })],
    ["securityContext.capabilities.add", with1({ securityContext: { capabilities: { add: ["NET_ADMIN"] } } })],
    ["securityContext.runAsNonRoot", with1({ securityContext: { runAsNonRoot: true } })],
    ["securityContext.runAsGroup", with1({ securityContext: { runAsGroup: 1 } })],
    ["lifecycle.preStop", with1({ lifecycle: { preStop: exec } })],
    ["lifecycle.postStart", with1({ lifecycle: { postStart: exec } })],
    ["spec.containers{main}.ports", with1({ ports: [{ containerPort: 80, hostPort: 80 }] })],
    [
      "spec.containers{main}.resources: there is no nvidia.com/gpu",
      with1({ resources: { limits: { "nvidia.com/gpu": "1" } } }),
    ],
    ["volumeMounts{v}.subPath", with1({ volumeMounts: [{ name: "v", mountPath: "/v", subPath: "a" }] })],
    ["env{A}.secretKeyRef", env({ secretKeyRef: { name: "a", key: "b" } })],
    ["env{A}.fieldRef: status.podIP", env({ fieldRef: { fieldPath: "status.podIP" } })],
    ["env{A}.fileKeyRef", env({ fileKeyRef: { volumeName: "a", path: "b", key: "c" } })],
    ["envFrom.secretRef", with1({ envFrom: [{ secretRef: { name: "a" } }] })],
    ["probes.httpGet", with1({ livenessProbe: { httpGet: { port: 80 } } })],
    ["probes.tcpSocket", with1({ readinessProbe: { tcpSocket: { port: 80 } } })],
    ["probes.grpc", with1({ startupProbe: { grpc: { port: 80 } } })],
    ["one health check", with1({ livenessProbe: exec, readinessProbe: { exec: { command: ["b"] } } })],
    ["imagePullPolicy", with1({ imagePullPolicy: "Never" })],
  ])("%s", (named, spec) => {
    const found = refusalOf(podOf(spec));
    expect(found?.reason).toBe("UnsupportedOnFargate");
    expect(found?.message).toContain(named);
  });

  test("pods of a DaemonSet", () => {
    const owner = { apiVersion: "apps/v1", kind: "DaemonSet", name: "a", uid: "a", controller: true };
    expect(refusalOf(podOf({}, { ownerReferences: [owner] }))?.message).toContain("DaemonSet");
  });

  test("all refusals at once, and pods that are too large", () => {
    const message = refusalOf(podOf({ hostIPC: true, hostPID: true }))?.message ?? "";
    expect(message.split("; ").length).toBe(2);
    expect(refusalOf(podOf(with1(requests("17", "1Gi"))))?.reason).toBe("OutOfcpu");
    const disk = { resources: { requests: { "ephemeral-storage": "201Gi" } } };
    expect(refusalOf(podOf(with1(disk)))?.reason).toBe("OutOfephemeral-storage");
  });

  test("an ordinary pod is not", () => {
    const probes = { livenessProbe: exec, readinessProbe: exec, startupProbe: exec };
    const rights = { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: "RuntimeDefault" } };
    expect(
      refusalOf(
        podOf({
          securityContext: rights,
          dnsPolicy: "ClusterFirst",
          volumes: [
            { name: "v", emptyDir: {} },
            { name: "kube-api-access-a", projected: {} },
          ],
          containers: [main({ ...probes, imagePullPolicy: "IfNotPresent", ports: [{ containerPort: 80 }] })],
        }),
      ),
    ).toBeUndefined();
  });
});
