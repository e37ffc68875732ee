import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Pod, pods } from "#api";
import type { HttpClient } from "#client";
import { builtOnce } from "../built-once.ts";
import { doorsOf, mayDo, queueDoorsOf, queueOf, ruleArn, writers } from "./doors.ts";
import {
  account,
  batchOf,
  done,
  endures,
  furnish,
  type Ground,
  keyFor,
  mutantsOf,
  openGround,
  refuses,
  shapeless,
  unharmed,
} from "./ground.ts";

/*
 * The functions for Fargate against unauthorized callers. ECS's reports are accepted about tasks of this cluster that
 * were started for a pod of this node, and are the pod's current task; every other such task is stopped.
 */

// biome-ignore lint/suspicious/noExplicitAny: tasks are as ECS has them
type Task = any;
let ground: Ground;
let client: HttpClient;
const namespace = "default";
const queue = queueOf("SKIFF_FARGATE_QUEUE_URL");
const work = (...messages: Parameters<typeof batchOf>[1][]) => ground.target.call(batchOf(queue, ...messages));
const polling = { timeout: 20_000, interval: 50 };

beforeAll(async () => {
  ground = await openGround("fargate");
  client = ground.client;
  await furnish(ground);
});
afterAll(() => ground?.stop());

const podNamed = (name: string) => client.get(pods, { namespace, name });
const bind = (name: string, nodeName: string) => {
  const spec = { nodeName, containers: [{ name: "main", image: "busybox" }] };
  return client.create(pods, { metadata: { name, namespace }, spec } as Pod);
};
const tasksOf = ({ metadata }: Pod): Task[] =>
  ground.stage.ecs.tasks.filter(({ startedBy }) => startedBy === metadata.uid);
const calls = (action: string) => ground.stage.cloud.counts.get(`AmazonEC2ContainerServiceV20141113.${action}`) ?? 0;
const readyOf = async (name: string) =>
  (await podNamed(name)).status?.conditions?.find(({ type }) => type === "Ready")?.status;
/** A pod that runs as a task, and the task. */
async function running(name: string): Promise<{ pod: Pod; task: Task }> {
  const made = await bind(name, "fargate");
  expect(await work(keyFor("fargate", { namespace, name }))).toEqual(done);
  await expect.poll(() => readyOf(name), polling).toBe("True");
  return { pod: await podNamed(name), task: structuredClone(tasksOf(made)[0]) };
}
const tell = (task: Task, more: object = {}) => ground.target.call({ ...ground.stage.ecs.eventOf(task), ...more });
/** Asserts that neither the pod nor any call of ECS changed meanwhile. */
async function unmoved(name: string, run: () => Promise<unknown>): Promise<void> {
  const state = async () => [(await podNamed(name)).metadata.resourceVersion, calls("RunTask"), calls("StopTask")];
  const before = await state();
  await run();
  expect(await state()).toEqual(before);
}
const stopped = { lastStatus: "STOPPED", desiredStatus: "STOPPED", version: 99, stoppedAt: new Date().toISOString() };

describe("no identity", () => {
  test("is called by EventBridge for one rule and by Lambda for one queue only", () => {
    expect(doorsOf("fargate")).toEqual({
      callers: [{ principal: "events.amazonaws.com", source: ruleArn("TaskState") }],
      ...{ roles: [], mapped: [queue], readable: [queue] },
    });
    const { rules } = builtOnce().wiring;
    const [rule] = rules.filter(({ function: name }) => name === "fargate");
    const clusterArn = [`arn:aws:ecs:eu-west-1:${account}:cluster/skiff-test`];
    expect(rule?.pattern).toEqual({
      ...{ source: ["aws.ecs"], "detail-type": ["ECS Task State Change"] },
      detail: { clusterArn },
    });
    expect(queueDoorsOf(queue)).toEqual({ senders: writers, allowed: [] });
    expect(mayDo("sqs:ReceiveMessage", queue)).toEqual(["Fargate"]);
    // No other function starts or stops tasks of pods.
    const task = `arn:aws:ecs:eu-west-1:${account}:task/skiff-test/a`;
    expect(mayDo("ecs:StopTask", task)).toEqual(["Fargate"]);
    expect(mayDo("ecs:StopTask", task.replace("skiff-test", "skiff-other"))).toEqual([]);
    expect(mayDo("ecs:StopTask", task.replace(account, "210987654321"))).toEqual([]);
  });

  test("refuses events that are neither a queue's nor ECS's", async () => {
    const { task } = await running("unmarked");
    const [record] = batchOf(queue, keyFor("fargate", { namespace, name: "unmarked" })).Records;
    const records = ["messageId", "receiptHandle", "attributes", "body"].map((name) => ({
      ...record,
      [name]: undefined,
    }));
    const event = ground.stage.ecs.eventOf({ ...task, ...stopped });
    const events = [
      { ...event, source: undefined },
      { ...event, source: "mine" },
      { ...event, source: "aws.ec2" },
      { ...event, "detail-type": "ECS Service Action" },
      { ...event, detail: { ...event["detail"], clusterArn: undefined } },
      { ...event, detail: { ...event["detail"], taskArn: undefined } },
    ];
    await unmoved("unmarked", () => refuses(ground.target, [...records.map((one) => ({ Records: [one] })), ...events]));
  });
});

describe("a wrong identity", () => {
  test("a task of another cluster, account, region or partition", async () => {
    const { task } = await running("foreign");
    const own: string = task.clusterArn;
    const others = [
      `${own}-two`,
      own.replace(account, "210987654321"),
      own.replace("eu-west-1", "eu-west-2"),
      own.replace("arn:aws:", "arn:aws-cn:"),
      "arn:",
    ];
    await unmoved("foreign", async () => {
      for (const clusterArn of others) expect(await tell({ ...task, ...stopped, clusterArn })).toBeNull();
    });
    expect(ground.lines.join("\n")).toContain("an event of another cluster's task was ignored");
  });

  test("a task that it never started, and one of a service", async () => {
    const { pod, task } = await running("own");
    const planted: Task = structuredClone({ ...task, taskArn: `${task.taskArn}0`, version: 50 });
    (ground.stage.ecs.tasks as Task[]).push(planted);
    const stops = calls("StopTask");
    await tell(planted);
    // The pod has its own task; the other one is surplus.
    expect((await podNamed("own")).metadata.resourceVersion).toBe(pod.metadata.resourceVersion);
    expect([calls("StopTask") - stops, planted.desiredStatus]).toEqual([1, "STOPPED"]);
    await unmoved("own", async () => {
      await tell({ ...planted, ...stopped, stopCode: "UserInitiated" });
      for (const startedBy of ["ecs-svc/1234567890", "", undefined, "fargate", `${pod.metadata.uid}x`])
        await tell({ ...task, ...stopped, startedBy });
    });
    expect(tasksOf(pod).map(({ taskArn }) => taskArn)).toContain(task.taskArn);
  });

  test("a task that claims a pod which is bound elsewhere, or does not exist", async () => {
    const { task } = await running("claimant");
    const elsewhere = await bind("elsewhere", "i-0123456789abcdef0");
    const claims = [elsewhere.metadata.uid!, "00000000-0000-4000-8000-000000000000"];
    for (const [place, startedBy] of claims.entries()) {
      const planted: Task = structuredClone({ ...task, startedBy, taskArn: `${task.taskArn}${place + 1}` });
      (ground.stage.ecs.tasks as Task[]).push(planted);
      await tell(planted);
      expect(planted.desiredStatus).toBe("STOPPED");
    }
    expect((await podNamed("elsewhere")).metadata.resourceVersion).toBe(elsewhere.metadata.resourceVersion);
    await unmoved("elsewhere", async () => {
      expect(await work(keyFor("fargate", { namespace, name: "elsewhere" }))).toEqual(done);
      // It may be for a controller of another version, and must not be lost.
      const { batchItemFailures } = (await work(keyFor("deployment", { namespace, name: "elsewhere" }))) as typeof done;
      expect(batchItemFailures).toHaveLength(1);
    });
    expect(await readyOf("claimant")).toBe("True");
  });

  test("a task of another cluster is not stopped for a message that names it: IAM, and ECS's own cluster", async () => {
    const { pod } = await running("kept");
    const other = `arn:aws:ecs:eu-west-1:${account}:task/skiff-other/0123456789abcdef`;
    expect(await work(keyFor("fargate-stop", { name: other }))).toEqual(done);
    expect((await podNamed("kept")).metadata.resourceVersion).toBe(pod.metadata.resourceVersion);
  });
});

test("refuses oversized events, and truncates fields that are only displayed", async () => {
  const { pod, task } = await running("large");
  const much = "x".repeat(5.8e6);
  const container = task.containers[0];
  await unharmed(ground.target, async () => {
    await unmoved("large", () =>
      refuses(
        ground.target,
        [
          { containers: Array(21).fill(container) },
          { containers: [{ ...container, name: much }] },
          { containers: [{ ...container, networkInterfaces: Array(11).fill({}) }] },
          { attachments: [{ type: "eni", details: Array(51).fill({}) }] },
          { taskArn: `${task.taskArn}${much}` },
          { startedBy: much },
          { lastStatus: much },
        ].map((more) => ground.stage.ecs.eventOf({ ...task, ...more })),
      ),
    );
    expect(await work({ body: much })).toEqual(done);
  });
  await tell({ ...task, ...stopped, stoppedReason: much, containers: [{ ...container, reason: much, exitCode: 1 }] });
  const { status } = await podNamed("large");
  expect(status?.containerStatuses?.[0]).not.toEqual(pod.status?.containerStatuses?.[0]);
  expect(JSON.stringify(status).length).toBeLessThan(8192);
});

test("refuses or drops malformed messages, and runs the next pod", async () => {
  await refuses(ground.target, [...shapeless, {}]);
  const { task } = await running("mutated");
  const event = ground.stage.ecs.eventOf(task);
  const good = batchOf(queue, keyFor("fargate", { namespace, name: "absent" }));
  const spoken = mutantsOf(JSON.parse(good.Records[0]!.body)).map((said) =>
    batchOf(queue, { body: JSON.stringify(said) ?? "" }),
  );
  await endures(ground.target, fc.oneof(mutantsOf(event), mutantsOf(good), spoken), 250);
  await running("next");
});

describe("repeated and late events", () => {
  test("a repeated or late key starts no second task", async () => {
    const { pod } = await running("once");
    await unmoved("once", async () => {
      const again = keyFor("fargate", { namespace, name: "once" });
      expect(await work(again)).toEqual(done);
      expect(await work(again, again, { ...again, group: "other" })).toEqual(done);
    });
    expect(tasksOf(pod)).toHaveLength(1);
  });

  test("a key whose first worker crashed after it had started the task gets that task", async () => {
    await bind("died", "fargate");
    const key = keyFor("fargate", { namespace, name: "died" });
    // Two at once, under two groups: neither sees the other's writes.
    await work(key, { ...key, group: "other" });
    await expect.poll(() => readyOf("died"), polling).toBe("True");
    expect(tasksOf(await podNamed("died"))).toHaveLength(1);
  });

  test("a repeated or late report changes nothing", async () => {
    const { task } = await running("repeated");
    await unmoved("repeated", async () => {
      for (const version of [task.version, task.version - 1, 0]) await tell({ ...task, version });
      await tell({ ...task, version: 1, lastStatus: "PROVISIONING", containers: [] });
      await tell({ ...task, ...stopped, version: 1 });
    });
    ground.stage.ecs.exit(task.taskArn, "main", 3);
    const restarts = async () =>
      (await podNamed("repeated")).status?.containerStatuses?.[0]?.lastState?.terminated?.exitCode;
    await expect.poll(restarts, polling).toBe(3);
    const end = structuredClone(tasksOf(await podNamed("repeated"))[0]);
    await unmoved("repeated", async () => {
      for (const late of [end, task, { ...task, version: end.version + 1 }]) await tell(late);
    });
  });

  test("the stop of a stopped task, and the end of a deleted pod", async () => {
    const { pod, task } = await running("gone");
    await client.delete(pods, { namespace, name: "gone" }, { gracePeriodSeconds: 1 } as never);
    const key = keyFor("fargate", { namespace, name: "gone" });
    expect(await work(key)).toEqual(done);
    const left = () =>
      podNamed("gone").then(
        ({ metadata }) => metadata.uid,
        (error) => error.reason,
      );
    await expect.poll(left, polling).toBe("NotFound");
    const runs = calls("RunTask");
    for (const message of [key, keyFor("fargate-stop", { name: task.taskArn })])
      expect(await work(message)).toEqual(done);
    // Another pod of its name has no relation to the task.
    await bind("gone", "fargate");
    await tell({ ...task, version: 98 });
    const another = await podNamed("gone");
    expect([another.metadata.uid === pod.metadata.uid, another.status?.containerStatuses]).toEqual([false, undefined]);
    expect(calls("RunTask")).toBe(runs);
  });
});
