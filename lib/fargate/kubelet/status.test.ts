import { describe, expect, test } from "vitest";
import type { ContainerStatus, Pod } from "#api";
import { conditionOf, recordOf, type TaskRecord } from "#fargate";
import { mergeStatus } from "#kubelet";
import { backoffOf, isForgiven, lastPhase, outcomeOf, stopReasons } from "./outcome.ts";
import { statusOf } from "./status.ts";
import type { Task, TaskContainer } from "./task.ts";

const now = Date.parse("2030-01-01T00:01:00Z");
const podOf = (spec: object = {}, status: object = {}): Pod =>
  ({
    metadata: { name: "web", namespace: "shop", uid: "u", generation: 2 },
    spec: { restartPolicy: "Always", containers: [{ name: "main", image: "nginx:1.27" }], ...spec },
    status,
  }) as Pod;
const taskOf = (more: Partial<Task> = {}): Task => ({
  taskArn: "arn:aws:ecs:eu-west-1:123456789012:task/skiff-demo/abc",
  clusterArn: "arn:aws:ecs:eu-west-1:123456789012:cluster/skiff-demo",
  startedBy: "u",
  version: 3,
  lastStatus: "RUNNING",
  desiredStatus: "RUNNING",
  createdAt: "2030-01-01T00:00:00.000Z",
  startedAt: "2030-01-01T00:00:30.000Z",
  containers: [container()],
  attachments: [{ type: "eni", details: [{ name: "privateIPv4Address", value: "10.0.0.9" }] }],
  ...more,
});
const container = (more: Partial<TaskContainer> = {}): TaskContainer => ({
  name: "main",
  lastStatus: "RUNNING",
  runtimeId: "r1",
  ...more,
});
const stopped = (more: Partial<Task> = {}): Task =>
  taskOf({ lastStatus: "STOPPED", desiredStatus: "STOPPED", stoppedAt: "2030-01-01T00:00:50.000Z", ...more });
const ended = (exitCode: number, more: Partial<TaskContainer> = {}) =>
  container({ lastStatus: "STOPPED", exitCode, ...more });
const essential = "EssentialContainerExited";
const show = (pod: Pod, task: Task) =>
  statusOf({
    pod,
    task,
    outcome: task.lastStatus === "STOPPED" ? outcomeOf(pod, task) : undefined,
    backoff: 10_000,
    now,
  });
const condition = (status: ReturnType<typeof show>, type: string) =>
  status.conditions?.find((one) => one.type === type);
const first = (status: ReturnType<typeof show>): ContainerStatus => status.containerStatuses![0]!;

describe("a running task", () => {
  test("a starting task is a pending pod", () => {
    const status = show(podOf(), taskOf({ lastStatus: "PROVISIONING", containers: [], attachments: [] }));
    expect(status).toMatchObject({ phase: "Pending", startTime: "2030-01-01T00:01:00Z", qosClass: "BestEffort" });
    expect(status.podIP).toBeUndefined();
    expect(first(status)).toMatchObject({ state: { waiting: { reason: "ContainerCreating" } }, ready: false });
    expect(condition(status, "PodReadyToStartContainers")?.status).toBe("False");
    expect(condition(status, "Ready")).toMatchObject({ status: "False", reason: "ContainersNotReady" });
  });

  test("a task that runs is a ready pod with an address", () => {
    const digest = `sha256:${"a".repeat(64)}`;
    const status = show(podOf(), taskOf({ containers: [container({ imageDigest: digest })] }));
    expect(status).toMatchObject({
      phase: "Running",
      podIP: "10.0.0.9",
      podIPs: [{ ip: "10.0.0.9" }],
      hostIP: "10.0.0.9",
    });
    expect(first(status)).toMatchObject({
      ready: true,
      started: true,
      containerID: "ecs://r1",
      imageID: `nginx:1.27@${digest}`,
      state: { running: { startedAt: "2030-01-01T00:00:30Z" } },
    });
    expect(condition(status, "Ready")).toMatchObject({ status: "True", observedGeneration: 2 });
  });

  test("reads an address that only the containers have", () => {
    const networkInterfaces = [{ privateIpv4Address: "10.0.0.7" }];
    expect(show(podOf(), taskOf({ attachments: [], containers: [container({ networkInterfaces })] })).podIP).toBe(
      "10.0.0.7",
    );
  });

  test.each([
    ["startupProbe", "UNKNOWN", { ready: false, started: false }],
    ["startupProbe", "HEALTHY", { ready: true, started: true }],
    ["readinessProbe", "UNHEALTHY", { ready: false, started: true }],
    ["readinessProbe", "HEALTHY", { ready: true, started: true }],
    ["livenessProbe", "UNKNOWN", { ready: true, started: true }],
  ])("with a %s and health %s", (probe, healthStatus, expected) => {
    const containers = [{ name: "main", image: "a", [probe]: { exec: { command: ["a"] } } }];
    expect(first(show(podOf({ containers }), taskOf({ containers: [container({ healthStatus })] })))).toMatchObject(
      expected,
    );
  });

  test("init containers run first, and the other containers wait", () => {
    const pod = podOf({ initContainers: [{ name: "first", image: "a" }] });
    const starting = taskOf({
      lastStatus: "PENDING",
      containers: [container({ name: "first" }), { name: "main", lastStatus: "PENDING" }],
    });
    const status = show(pod, starting);
    expect(first(status).state).toEqual({ waiting: { reason: "PodInitializing" } });
    expect(condition(status, "Initialized")).toMatchObject({
      status: "False",
      message: "containers with incomplete status: [first]",
    });
    const done = show(pod, taskOf({ containers: [ended(0, { name: "first", runtimeId: "r0" }), container()] }));
    expect(done.initContainerStatuses?.[0]).toMatchObject({
      ready: true,
      state: { terminated: { exitCode: 0, reason: "Completed" } },
    });
    expect([condition(done, "Initialized")?.status, done.phase]).toEqual(["True", "Running"]);
  });

  test("a container that ECS has restarted in place has another id, and is counted", () => {
    const pod = podOf();
    const before = { ...pod, status: mergeStatus({}, show(pod, taskOf()), now) };
    expect(first(show(before, taskOf({ containers: [container({ runtimeId: "r2" })] }))).restartCount).toBe(1);
    expect(first(show(before, taskOf())).restartCount).toBe(0);
  });

  test("a task on its way down is not ready any more", () => {
    const status = show(podOf(), taskOf({ lastStatus: "STOPPING", desiredStatus: "STOPPED" }));
    expect([status.phase, first(status).ready]).toEqual(["Running", false]);
  });

  test("other readiness gates count", () => {
    const gated = podOf({ readinessGates: [{ conditionType: "lb/ready" }] });
    expect(condition(show(gated, taskOf()), "Ready")).toMatchObject({
      status: "False",
      reason: "ReadinessGatesNotReady",
    });
    expect(condition(show(gated, taskOf()), "ContainersReady")?.status).toBe("True");
  });
});

describe("a stopped task", () => {
  test.each([
    ["Never", 0, { is: "over", phase: "Succeeded" }],
    ["Never", 1, { is: "over", phase: "Failed" }],
    ["OnFailure", 0, { is: "over", phase: "Succeeded" }],
    ["OnFailure", 1, { is: "again", ran: true }],
    ["Always", 0, { is: "again", ran: true }],
    ["Always", 1, { is: "again", ran: true }],
  ])("restart policy %s and exit code %d", (restartPolicy, exitCode, expected) => {
    expect(
      outcomeOf(podOf({ restartPolicy }), stopped({ stopCode: essential, containers: [ended(exitCode)] })),
    ).toEqual(expected);
  });

  test.each(["UserInitiated", "SpotInterruption", "TerminationNotice", "ServiceSchedulerInitiated", "TaskNotFound"])(
    "%s fails the pod, whatever its restart policy",
    (stopCode) => {
      const task = stopped({ stopCode, stoppedReason: "why", containers: [ended(143)] });
      expect(outcomeOf(podOf(), task)).toEqual({ is: "over", phase: "Failed", reason: "Terminated", message: "why" });
    },
  );

  test("a failed liveness probe is a restart, a passed deadline is the end", () => {
    const task = (stoppedReason: string) =>
      stopped({ stopCode: "UserInitiated", stoppedReason, containers: [ended(0)] });
    expect(outcomeOf(podOf({ restartPolicy: "OnFailure" }), task(stopReasons.liveness))).toEqual({
      is: "again",
      ran: true,
    });
    expect(outcomeOf(podOf(), task(stopReasons.deadline))).toMatchObject({
      phase: "Failed",
      reason: "DeadlineExceeded",
    });
  });

  test("a crashed container waits, with its end as the last state", () => {
    const containers = [ended(137, { reason: "OutOfMemoryError: Container killed due to memory usage" })];
    const status = show(podOf(), stopped({ stopCode: essential, containers }));
    expect(status.phase).toBe("Running");
    expect(first(status)).toMatchObject({
      restartCount: 1,
      state: {
        waiting: {
          reason: "CrashLoopBackOff",
          message: "back-off 10s restarting failed container=main pod=web_shop(u)",
        },
      },
      lastState: { terminated: { exitCode: 137, reason: "OOMKilled", finishedAt: "2030-01-01T00:00:50Z" } },
    });
    expect(first(status).containerID).toBeUndefined();
  });

  test("an image that cannot be pulled leaves the pod pending", () => {
    const reason = "CannotPullContainerError: pull access denied";
    for (const task of [
      stopped({ stopCode: "TaskFailedToStart", containers: [container({ lastStatus: "STOPPED", reason })] }),
      stopped({
        stopCode: "TaskFailedToStart",
        stoppedReason: reason,
        containers: [container({ lastStatus: "STOPPED" })],
      }),
    ]) {
      const status = show(podOf({ restartPolicy: "Never" }), task);
      expect(status.phase).toBe("Pending");
      expect(first(status)).toMatchObject({
        restartCount: 0,
        state: { waiting: { reason: "ErrImagePull", message: reason } },
      });
    }
  });

  test("containers that ran while another image could not be pulled, and containers of AWS, do not count", () => {
    const pod = podOf({ restartPolicy: "Never", initContainers: [{ name: "first", image: "a" }] });
    const first = ended(0, { name: "first" });
    const failing = container({ lastStatus: "STOPPED", reason: "CannotPullContainerError: no" });
    const told = (...containers: TaskContainer[]) =>
      outcomeOf(pod, stopped({ stopCode: "TaskFailedToStart", containers }));
    const waits = { name: "main", lastStatus: "STOPPED" };
    expect(told(first, failing)).toEqual({ is: "again", ran: false });
    expect(told(first, waits)).toEqual({ is: "again", ran: false });
    expect(told(waits, ended(137, { name: "aws-guardduty-agent" }))).toEqual({ is: "again", ran: false });
    expect(told(ended(1, { name: "first" }), waits)).toEqual({ is: "over", phase: "Failed" });
  });

  test("a task that does not start for another reason is tried again", () => {
    const task = stopped({
      stopCode: "TaskFailedToStart",
      stoppedReason: "ResourceInitializationError",
      containers: [],
    });
    expect(outcomeOf(podOf({ restartPolicy: "Never" }), task)).toEqual({ is: "again", ran: false });
  });

  test("the end of a job: exit codes and phase, and no way back", () => {
    const pod = podOf({ restartPolicy: "Never" });
    const status = show(pod, stopped({ stopCode: essential, containers: [ended(0)] }));
    expect(status).toMatchObject({ phase: "Succeeded" });
    expect(first(status).state).toMatchObject({
      terminated: { exitCode: 0, reason: "Completed", startedAt: "2030-01-01T00:00:30Z", containerID: "ecs://r1" },
    });
    expect(condition(status, "Ready")).toMatchObject({ status: "False", reason: "PodCompleted" });
    expect(mergeStatus(status, { ...status, phase: "Running" }, now).phase).toBe("Succeeded");
  });

  test("reports that a container's state is unknown", () => {
    const status = show(podOf(), stopped({ stopCode: "TaskNotFound", containers: [] }));
    expect(first(status).state).toMatchObject({ terminated: { exitCode: 137, reason: "ContainerStatusUnknown" } });
  });

  test("a deleted pod ends by its containers' exit codes", () => {
    expect(lastPhase(podOf(), stopped({ containers: [ended(0)] }))).toBe("Succeeded");
    expect(lastPhase(podOf(), stopped({ containers: [ended(143)] }))).toBe("Failed");
    expect(lastPhase(podOf(), stopped({ containers: [] }))).toBe("Failed");
  });

  test("back-off doubles up to five minutes, and is forgotten after ten minutes' run", () => {
    expect([1, 2, 3, 6, 40].map(backoffOf)).toEqual([10_000, 20_000, 40_000, 300_000, 300_000]);
    expect(isForgiven(stopped())).toBe(false);
    expect(isForgiven(stopped({ stoppedAt: "2030-01-01T00:10:30.000Z" }))).toBe(true);
  });
});

describe("the merge of a status", () => {
  test("the record of the task, as a condition", () => {
    const record: TaskRecord = {
      arn: taskOf().taskArn,
      version: 7,
      created: now,
      stopped: true,
      attempt: 2,
      failures: 1,
      retry: now + 5,
    };
    const pod = podOf({}, { conditions: [conditionOf(record, "STOPPED")] });
    expect(recordOf(pod)).toEqual(record);
    expect(recordOf(podOf())).toBeUndefined();
  });

  test("keeps conditions of others, and the time of unchanged ones", () => {
    const before = {
      conditions: [
        { type: "Ready", status: "True", lastTransitionTime: "2029-01-01T00:00:00Z" },
        { type: "mine", status: "True" },
      ],
    };
    const merged = mergeStatus(before, show(podOf(), taskOf()), now);
    const times = new Map(merged.conditions?.map(({ type, lastTransitionTime }) => [type, lastTransitionTime]));
    expect(times.get("Ready")).toBe("2029-01-01T00:00:00Z");
    expect(times.get("ContainersReady")).toBe("2030-01-01T00:01:00Z");
    expect(merged.conditions?.at(-1)).toEqual({ type: "mine", status: "True" });
  });
});
