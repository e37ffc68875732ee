import { UpdateItemCommand } from "@aws-sdk/client-dynamodb";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Node, nodes, type Pod, pods } from "#api";
import { wakeScheduler } from "#reconcile/sqs";
import { doorsOf, mayDo, queueDoorsOf, queueOf, writers } from "./doors.ts";
import {
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

/* `functions/schedule` against unauthorized callers. A message only wakes it: it schedules all pending pods. */

let ground: Ground;
/** Whether another scheduler starts just before this one checks its fence. */
let isOvertaken = false;
const fence = { p: { S: "fence" }, k: { S: "scheduler" } };

beforeAll(async () => {
  ground = await openGround("schedule", {
    fault: ({ instance, target, body }) => {
      const isAsking = target.endsWith(".GetItem") && body.includes('"fence"') && instance.startsWith("schedule");
      if (!isOvertaken || !isAsking) return undefined;
      isOvertaken = false;
      const raised = { TableName: ground.objects, Key: fence, UpdateExpression: "ADD n :one" };
      void ground.rows.send(new UpdateItemCommand({ ...raised, ExpressionAttributeValues: { ":one": { N: "1" } } }));
      return { kind: "delayed", milliseconds: 1000 };
    },
  });
  await furnish(ground);
  await addNode({
    metadata: { name: "one" },
    status: {
      allocatable: { cpu: "4", memory: "8Gi", pods: "50" },
      conditions: [{ type: "Ready", status: "True", reason: "KubeletReady" }],
    },
  } as Node);
});
afterAll(() => ground?.stop());

/** Registers a node and removes its taint, as the node lifecycle controller does by its conditions. */
async function addNode(node: Node): Promise<void> {
  const { metadata } = await ground.client.create(nodes, node);
  const name = metadata.name ?? "";
  await ground.client.patch(nodes, { name }, { spec: { taints: null } }, { type: "merge" });
}

const queue = queueOf("SKIFF_SCHEDULE_QUEUE_URL");
const batch = (...messages: Parameters<typeof batchOf>[1][]) => batchOf(queue, ...messages);
const wake = (cause = "core/pods@1") => ground.target.call(batch(wakeScheduler(cause)));
const place = async (name: string): Promise<void> => {
  const spec = { containers: [{ name: "main", image: "main:1" }] };
  await ground.client.create(pods, { metadata: { namespace: "default", name }, spec } as Pod);
};
const podNamed = (name: string) => ground.client.get(pods, { namespace: "default", name });
const nodeOf = async (name: string) => (await podNamed(name)).spec?.nodeName;

describe("no identity", () => {
  test("only Lambda calls it, for one queue to which only this cluster's functions may send", () => {
    expect(doorsOf("schedule")).toEqual({ callers: [], roles: [], mapped: [queue], readable: [queue] });
    expect(queueDoorsOf(queue)).toEqual({ senders: writers, allowed: [] });
    expect(mayDo("sqs:ReceiveMessage", queue)).toEqual(["Schedule"]);
  });

  test("refuses events that are not from a queue, and schedules nothing", async () => {
    await place("unmarked");
    const [record] = batch(wakeScheduler("a")).Records;
    const records = ["messageId", "receiptHandle", "attributes", "body"].map((name) => ({
      ...record,
      [name]: undefined,
    }));
    await refuses(
      ground.target,
      records.map((one) => ({ Records: [one] })),
    );
    expect(await nodeOf("unmarked")).toBeUndefined();
    expect(await wake()).toEqual(done);
    expect(await nodeOf("unmarked")).toBe("one");
  });
});

test("a message for another controller does not affect a pod's node", async () => {
  await ground.client.create(nodes, { metadata: { name: "closed" }, spec: { unschedulable: true } } as Node);
  await place("meant");
  const key = { namespace: "default", name: "meant" };
  const bodies = [{ bind: { pod: "meant", node: "closed" } }, { spec: { nodeName: "closed" }, ...key }];
  const foreign = bodies.map((body) => ({ body: JSON.stringify(body), group: "schedule" }));
  expect(await ground.target.call(batch(keyFor("deployment", key), ...foreign))).toEqual(done);
  expect(await nodeOf("meant")).toBe("one");
});

test("an oversized message wakes it like any other", async () => {
  await place("large");
  await unharmed(ground.target, async () => {
    const messages = Array.from({ length: 5 }, () => ({ body: "x".repeat(1024 * 1024) }));
    expect(await ground.target.call(batch(...messages))).toEqual(done);
    await refuses(ground.target, [{ Records: "x".repeat(5.9e6) }, { junk: "x".repeat(5.9e6) }]);
  });
  expect(await nodeOf("large")).toBe("one");
});

test("refuses malformed messages or is woken by them, and places the next pod", async () => {
  await refuses(ground.target, shapeless);
  const good = batch(wakeScheduler("core/pods@7"));
  await endures(
    ground.target,
    fc.oneof(
      mutantsOf(good),
      fc.string().map((body) => batch({ body })),
    ),
    60,
  );
  await place("next");
  expect(await wake()).toEqual(done);
  expect(await nodeOf("next")).toBe("one");
});

describe("repeated and late messages", () => {
  test("a repeated or late message binds nothing again", async () => {
    await place("once");
    expect(await wake("core/pods@9")).toEqual(done);
    const { metadata, spec } = await podNamed("once");
    expect(spec?.nodeName).toBe("one");
    await addNode({
      metadata: { name: "better" },
      status: {
        allocatable: { cpu: "64", memory: "64Gi", pods: "500" },
        conditions: [{ type: "Ready", status: "True" }],
      },
    } as Node);
    for (const cause of ["core/pods@9", "core/pods@1", "resync@1"]) expect(await wake(cause)).toEqual(done);
    const twice = batch(wakeScheduler("core/pods@9"), wakeScheduler("core/pods@9"));
    expect(await ground.target.call(twice)).toEqual(done);
    expect(await podNamed("once")).toMatchObject({
      metadata: { resourceVersion: metadata.resourceVersion },
      spec: { nodeName: "one" },
    });
  });

  test("a scheduler that a later one has fenced off binds nothing; its message stays", async () => {
    await place("overtaken");
    isOvertaken = true;
    expect(await wake()).toEqual({ batchItemFailures: [{ itemIdentifier: "m0" }] });
    expect([isOvertaken, await nodeOf("overtaken")]).toEqual([false, undefined]);
    expect(ground.lines.join("\n")).toContain("another scheduler has started after this one");
    expect(await wake()).toEqual(done);
    expect(await nodeOf("overtaken")).toBeDefined();
  });
});
