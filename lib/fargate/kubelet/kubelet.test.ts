import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { configMaps, events, type Pod, pods, serviceAccounts } from "#api";
import { isReason } from "#base";
import { recordOf } from "#fargate";
import { RetryAfter } from "#reconcile";
import { openCluster, type TestCluster } from "#test/cluster";
import { type HandClock, handClock } from "#test/make";
import { type Kubelet, kubelet } from "./kubelet.ts";
import { registerFargateNode } from "./node.ts";
import { stopReasons } from "./outcome.ts";
import { Refused } from "./provider.ts";
import type { Task } from "./task.ts";
import type { RunRequest, Tasks } from "./tasks.ts";

const cluster = "arn:aws:ecs:eu-west-1:123456789012:cluster/skiff-demo";
const namespace = "default";

/** A minimal ECS: its requests, and tasks by token. */
function playTasks() {
  const byToken = new Map<string, Task>();
  const runs: RunRequest[] = [];
  const stops: [string, string][] = [];
  const trouble: { run?: Error; define?: Error } = {};
  const known = new Map<string, Task>();
  const tasks: Tasks = {
    async define({ family }) {
      if (trouble.define) throw trouble.define;
      return `arn:${family}`;
    },
    families: async () => [],
    retire: async () => true,
    async run(request) {
      if (trouble.run) throw trouble.run;
      runs.push(request);
      const task = byToken.get(request.token) ?? taskOf(request.startedBy, `task-${byToken.size}`);
      byToken.set(request.token, task);
      known.set(task.taskArn, task);
      return task;
    },
    describe: async (arn) => known.get(arn),
    async stop(arn, reason) {
      stops.push([arn, reason]);
    },
  };
  return { tasks, runs, stops, trouble, known };
}

let clock: HandClock;
const time = () => new Date(clock.now()).toISOString();
const taskOf = (startedBy: string, id: string): Task => ({
  taskArn: `${cluster.replace(":cluster/", ":task/")}/${id}`,
  clusterArn: cluster,
  startedBy,
  version: 1,
  lastStatus: "PROVISIONING",
  desiredStatus: "RUNNING",
  createdAt: time(),
  containers: [{ name: "main", lastStatus: "PENDING" }],
  attachments: [],
});
const running = (task: Task, version = 3): Task => ({
  ...task,
  version,
  lastStatus: "RUNNING",
  startedAt: time(),
  containers: [{ name: "main", lastStatus: "RUNNING", runtimeId: `${task.taskArn}-main` }],
  attachments: [{ type: "eni", details: [{ name: "privateIPv4Address", value: "10.0.0.9" }] }],
});
const stoppedAs = (task: Task, stopCode: string, exitCode?: number, stoppedReason = "why"): Task => ({
  ...task,
  version: 9,
  lastStatus: "STOPPED",
  desiredStatus: "STOPPED",
  stopCode,
  stoppedReason,
  containers: [{ name: "main", lastStatus: "STOPPED", ...(exitCode === undefined ? {} : { exitCode }) }],
});

let test1: TestCluster;
let ecs: ReturnType<typeof playTasks>;
let node: Kubelet;
let waits: [string, string, number][];

beforeEach(async () => {
  clock = handClock(Date.parse("2030-01-01T00:00:00Z"));
  test1 = await openCluster({ clock, asleep: true });
  const { plane, client } = test1;
  await plane.bootstrap();
  await client.create(serviceAccounts, { metadata: { name: "default", namespace } });
  await registerFargateNode(client, clock.now());
  await restart(playTasks());
});
afterEach(() => test1.close());

/** A new process, without any memory. */
async function restart(played = ecs): Promise<void> {
  ecs = played;
  waits = [];
  node = kubelet({
    context: test1.plane.onDemand().context,
    tasks: ecs.tasks,
    later: async ({ controller, key }, after) => void waits.push([controller, key.name, after]),
    settings: { cluster: "demo", region: "eu-west-1", logGroup: "g", executionRole: "arn:aws:iam::1:role/a" },
  });
}

const make = (spec: object = {}): Promise<Pod> =>
  test1.client.create(pods, {
    metadata: { name: "web", namespace },
    spec: { nodeName: "fargate", containers: [{ name: "main", image: "nginx" }], ...spec },
  } as Pod);
const now = (): Promise<Pod | undefined> =>
  test1.client.get(pods, { namespace, name: "web" }).catch((error: unknown) => {
    if (isReason(error, "NotFound")) return undefined;
    throw error;
  });
const wake = async () => node.controllers[0]!.reconcile(test1.plane.onDemand().context, { namespace, name: "web" });
const state = async () => (await now())?.status?.containerStatuses?.[0];
/** A pod with a running task. */
const started = async (spec?: object): Promise<Task> => {
  await make(spec);
  await wake();
  const task = [...ecs.known.values()].at(-1)!;
  const told = running(task);
  ecs.known.set(task.taskArn, told);
  await node.taskChanged(told);
  return told;
};

describe("a pod is started", () => {
  test("by its uid as token, and is read again later", async () => {
    const pod = await make();
    expect(await wake()).toEqual({ requeueAfter: 300_000 });
    expect(ecs.runs).toMatchObject([{ token: pod.metadata.uid, startedBy: pod.metadata.uid }]);
    expect(recordOf((await now())!)).toMatchObject({ version: 1, stopped: false, attempt: 0 });
    expect((await now())?.status?.phase).toBe("Pending");
  });

  test("once, even if the process dies after the task was run", async () => {
    await make();
    const { run } = ecs.tasks;
    ecs.tasks.run = async (request) => {
      await run(request);
      throw new Error("killed");
    };
    await expect(wake()).rejects.toThrow("killed");
    expect(recordOf((await now())!)).toBeUndefined();
    ecs.tasks.run = run;
    await restart();
    await wake();
    expect(ecs.known.size).toBe(1);
    expect(recordOf((await now())!)?.arn).toBe([...ecs.known.keys()][0]);
  });

  test("and its events alone identify the task", async () => {
    const pod = await make();
    const told = running(taskOf(pod.metadata.uid!, "early"));
    ecs.known.set(told.taskArn, told);
    await node.taskChanged(told);
    expect(recordOf((await now())!)?.arn).toMatch(/early$/);
    await wake();
    expect(ecs.runs).toEqual([]);
  });

  test("not at all when Fargate cannot run it, or ECS will not have it", async () => {
    await make({ hostNetwork: true });
    await wake();
    expect((await now())?.status).toMatchObject({ phase: "Failed", reason: "UnsupportedOnFargate" });
    await test1.client.delete(pods, { namespace, name: "web" });
    await make();
    ecs.trouble.define = new Refused("Invalid image name");
    await wake();
    expect((await now())?.status?.message).toContain("Invalid image name");
    expect(ecs.runs).toEqual([]);
  });

  test("later when ECS throttles", async () => {
    await make();
    ecs.trouble.run = new RetryAfter(2000, "ThrottlingException");
    await expect(wake()).rejects.toMatchObject({ milliseconds: 2000 });
    expect((await now())?.status?.phase).toBe("Pending");
  });

  test("when its ConfigMap exists", async () => {
    await make({ containers: [{ name: "main", image: "a", envFrom: [{ configMapRef: { name: "settings" } }] }] });
    expect(await wake()).toEqual({ requeueAfter: 91_000 });
    expect((await state())?.state?.waiting).toEqual({
      reason: "CreateContainerConfigError",
      message: 'configmap "settings" not found',
    });
    await test1.client.create(configMaps, { metadata: { name: "settings", namespace }, data: { A: "b" } });
    await wake();
    expect(ecs.runs.length).toBe(1);
  });
});

describe("a report of ECS", () => {
  test("that is late or repeated changes nothing", async () => {
    const task = await started();
    const before = await now();
    expect(before?.status).toMatchObject({ phase: "Running", podIP: "10.0.0.9" });
    await node.taskChanged({ ...taskOf(task.startedBy!, "task-0"), version: 2, lastStatus: "PENDING" });
    await node.taskChanged(task);
    expect((await now())?.metadata.resourceVersion).toBe(before?.metadata.resourceVersion);
  });

  test("in any order ends in the same state", async () => {
    const pod = await make();
    await wake();
    const [task] = [...ecs.known.values()];
    const told = [
      { ...task!, version: 2, lastStatus: "PENDING" },
      running(task!),
      stoppedAs(task!, "SpotInterruption", 143),
    ];
    for (const one of [told[2]!, told[0]!, told[1]!, told[2]!]) await node.taskChanged(one);
    expect((await now())?.status).toMatchObject({ phase: "Failed", reason: "Terminated" });
    expect(recordOf((await now())!)).toMatchObject({ version: 9, stopped: true });
    expect(pod.metadata.uid).toBe((await now())?.metadata.uid);
  });

  test("about a deleted pod stops the task, unless it is stopping", async () => {
    const uid = "00000000-0000-4000-8000-000000000000";
    await node.taskChanged(taskOf(uid, "a"));
    await node.taskChanged({ ...taskOf(uid, "b"), desiredStatus: "STOPPED" });
    await node.taskChanged(taskOf("ecs-svc/1", "c"));
    expect(ecs.stops.map(([arn, reason]) => [arn.split("/").at(-1), reason])).toEqual([["a", stopReasons.unowned]]);
  });

  test("of a second task of one pod stops that task", async () => {
    const { startedBy = "" } = await started();
    await node.taskChanged(taskOf(startedBy, "other"));
    expect(ecs.stops.map(([arn]) => arn.split("/").at(-1))).toEqual(["other"]);
    expect(recordOf((await now())!)?.arn).toMatch(/task-0$/);
  });

  test("may be lost: the next read of the task replaces it", async () => {
    await make();
    await wake();
    const [task] = [...ecs.known.values()];
    ecs.known.set(task!.taskArn, running(task!));
    expect(await wake()).toBeUndefined();
    expect((await now())?.status?.phase).toBe("Running");
    ecs.known.clear();
    await expect(wake()).rejects.toThrow(RetryAfter);
    clock.move(700_000);
    await wake();
    expect((await now())?.status).toMatchObject({ phase: "Failed", reason: "Terminated" });
  });
});

describe("a container that ends", () => {
  test("is started again in another task, after a while, whatever happens in between", async () => {
    const task = await started();
    await node.taskChanged(stoppedAs(task, "EssentialContainerExited", 3));
    expect(waits).toEqual([["fargate", "web", 10_000]]);
    expect(await state()).toMatchObject({ restartCount: 1, state: { waiting: { reason: "CrashLoopBackOff" } } });
    // A repeated report counts once, and the timer is set again: the first process may have crashed before.
    await restart();
    await node.taskChanged(stoppedAs(task, "EssentialContainerExited", 3));
    expect(waits).toEqual([["fargate", "web", 10_000]]);
    expect((await state())?.restartCount).toBe(1);
    expect(await wake()).toEqual({ requeueAfter: 10_000 });
    clock.move(10_000);
    await wake();
    expect(ecs.runs.map(({ token }) => token)).toEqual([task.startedBy, `${task.startedBy}-1`]);
    // A report about the first task is history now.
    await node.taskChanged(running(task, 20));
    await node.taskChanged(running([...ecs.known.values()].at(-1)!));
    expect(await state()).toMatchObject({
      restartCount: 1,
      ready: true,
      lastState: { terminated: { exitCode: 3 } },
    });
    expect((await now())?.status?.phase).toBe("Running");
    await node.taskChanged(stoppedAs([...ecs.known.values()].at(-1)!, "EssentialContainerExited", 3));
    expect(waits.at(-1)).toEqual(["fargate", "web", 20_000]);
  });

  test("is the end if the pod is not restarted", async () => {
    const task = await started({ restartPolicy: "Never" });
    await node.taskChanged(stoppedAs(task, "EssentialContainerExited", 0));
    expect((await now())?.status?.phase).toBe("Succeeded");
    expect([await wake(), waits, ecs.runs.length]).toEqual([undefined, [], 1]);
  });

  test("because its liveness probe failed is started again, too", async () => {
    const livenessProbe = { exec: { command: ["a"] } };
    const task = await started({ containers: [{ name: "main", image: "a", livenessProbe }] });
    const ill = { ...task, version: 4, containers: [{ ...task.containers[0]!, healthStatus: "UNHEALTHY" }] };
    await node.taskChanged(ill);
    expect(ecs.stops.map(([, reason]) => reason)).toEqual([stopReasons.liveness]);
    await node.taskChanged(stoppedAs(task, "UserInitiated", 143, stopReasons.liveness));
    expect((await state())?.state?.waiting?.reason).toBe("CrashLoopBackOff");
  });

  test("because the pod's deadline has passed fails the pod", async () => {
    const task = await started({ activeDeadlineSeconds: 60 });
    expect(await wake()).toEqual({ requeueAfter: 60_000 });
    clock.move(60_000);
    await wake();
    expect(ecs.stops.map(([, reason]) => reason)).toEqual([stopReasons.deadline]);
    await node.taskChanged(stoppedAs(task, "UserInitiated", 143, stopReasons.deadline));
    expect((await now())?.status).toMatchObject({ phase: "Failed", reason: "DeadlineExceeded" });
  });
});

test("a task of a deleted pod is stopped", async () => {
  await node.controllers[1]!.reconcile(test1.plane.onDemand().context, { name: "arn:a" });
  expect(ecs.stops).toEqual([["arn:a", stopReasons.deleted]]);
});

describe("a pod that is deleted", () => {
  const remove = (more = {}) => test1.client.delete(pods, { namespace, name: "web" }, more);

  test("is deleted when its task has stopped", async () => {
    const task = await started();
    await remove();
    expect(await wake()).toEqual({ requeueAfter: 91_000 });
    expect(ecs.stops).toEqual([[task.taskArn, stopReasons.deleted]]);
    expect(await now()).toBeDefined();
    await node.taskChanged(stoppedAs(task, "UserInitiated", 0, stopReasons.deleted));
    expect(await now()).toBeUndefined();
    await node.taskChanged(stoppedAs(task, "UserInitiated", 0, stopReasons.deleted));
    expect(ecs.stops.length).toBe(1);
  });

  test("is deleted at once when it has no task, or a stopped one", async () => {
    await make();
    await remove();
    await wake();
    expect(await now()).toBeUndefined();
    const task = await started();
    await node.taskChanged(stoppedAs(task, "TaskFailedToStart"));
    await remove();
    await wake();
    expect(await now()).toBeUndefined();
  });

  test("between the start of its task and the record of it leaves no task behind", async () => {
    await make();
    const { run } = ecs.tasks;
    ecs.tasks.run = async (request) => {
      const task = await run(request);
      await remove({ gracePeriodSeconds: 0 });
      await make();
      return task;
    };
    await wake();
    expect(ecs.stops.map(([, reason]) => reason)).toEqual([stopReasons.unowned]);
    expect(recordOf((await now())!)).toBeUndefined();
  });

  test("and created again under its name is another pod", async () => {
    const task = await started();
    await remove({ gracePeriodSeconds: 0 });
    await make();
    await node.taskChanged({ ...task, version: 5 });
    expect(ecs.stops).toEqual([[task.taskArn, stopReasons.unowned]]);
    expect(recordOf((await now())!)).toBeUndefined();
  });
});

test("records Events", async () => {
  const projected = { sources: [{ serviceAccountToken: { path: "token" } }] };
  await make({ volumes: [{ name: "kube-api-access-a", projected }] });
  await wake();
  await test1.client.delete(pods, { namespace, name: "web" }, { gracePeriodSeconds: 0 });
  await make({ hostNetwork: true });
  await wake();
  await test1.plane.onDemand().settled();
  const { items } = await test1.client.list(events, { namespace });
  expect(items.map(({ reason }) => reason).sort()).toEqual(["TokenNotMounted", "UnsupportedOnFargate"]);
});
