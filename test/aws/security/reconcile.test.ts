import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Deployment, deployments, pods, replicaSets } from "#api";
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

/* `functions/reconcile` against unauthorized callers. A message is only a key; the state is read. */

let ground: Ground;
beforeAll(async () => {
  ground = await openGround("reconcile");
  await furnish(ground);
});
afterAll(() => ground?.stop());

const queue = queueOf("SKIFF_RECONCILE_QUEUE_URL");
const work = (...messages: Parameters<typeof batchOf>[1][]) => ground.target.call(batchOf(queue, ...messages));
const key = { namespace: "default", name: "web" };
const make = (name: string, replicas: number): Deployment =>
  ({
    metadata: { namespace: "default", name },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: "main", image: "main:1" }] } },
    },
  }) as Deployment;

/** All objects that controllers derive from deployments, in their current state. */
const current = async () => {
  const lists = [
    (await ground.client.list(deployments, { namespace: "default" })).items,
    (await ground.client.list(replicaSets, { namespace: "default" })).items,
    (await ground.client.list(pods, { namespace: "default" })).items,
  ];
  return lists.map((items) => items.map(({ metadata }) => `${metadata.name}@${metadata.resourceVersion}`).sort());
};

describe("no identity", () => {
  test("only Lambda calls it, for one queue to which only this cluster's functions may send", () => {
    expect(doorsOf("reconcile")).toEqual({ callers: [], roles: [], mapped: [queue], readable: [queue] });
    expect(queueDoorsOf(queue)).toEqual({ senders: writers, allowed: [] });
    expect(mayDo("sqs:ReceiveMessage", queue)).toEqual(["Reconcile"]);
  });

  test("refuses events that are not a queue's", async () => {
    const [record] = batchOf(queue, keyFor("deployment", key)).Records;
    const { messageId: _id, ...unnamed } = record!;
    const { receiptHandle: _receipt, ...unreceived } = record!;
    const { attributes: _attributes, ...bare } = record!;
    const records = [unnamed, unreceived, bare, { ...record, attributes: { MessageGroupId: "g" } }];
    await refuses(
      ground.target,
      records.map((one) => ({ Records: [one] })),
    );
  });
});

describe("a wrong identity", () => {
  test("hands back a message for a controller of another version, and does nothing for an absent object", async () => {
    const before = await current();
    for (const name of ["fargate", "fargate-stop", "scheduler", "rm -rf", "__proto__", "constructor", ""]) {
      const { batchItemFailures } = (await work(keyFor(name, key))) as typeof done;
      expect([name, batchItemFailures]).toEqual([name, [{ itemIdentifier: expect.any(String) }]]);
    }
    for (const name of ["deployment", "replica-set", "job", "cron-job", "node-health"])
      expect([name, await work(keyFor(name, { namespace: "elsewhere", name: "web" }))]).toEqual([name, done]);
    const absent = { namespace: "elsewhere", name: "apps/v1/Deployment:web" };
    expect(await work(keyFor("garbage-collector", absent))).toEqual(done);
    expect(await current()).toEqual(before);
  });

  test("processes a key under another key's group as what it is", async () => {
    await ground.client.create(deployments, make("grouped", 0));
    const { group } = keyFor("deployment", key);
    expect(await work({ ...keyFor("deployment", { namespace: "default", name: "grouped" }), group })).toEqual(done);
    const sets = (await ground.client.list(replicaSets, { namespace: "default" })).items;
    expect(sets.map(({ metadata }) => metadata.ownerReferences?.[0]?.name)).toEqual(["grouped"]);
  });
});

describe("oversized messages", () => {
  test("drops the largest possible body without a receiver, and a key that no object can have", async () => {
    await ground.client.create(deployments, make("beside", 0));
    const large = "x".repeat(1024 * 1024);
    await unharmed(ground.target, async () => {
      for (const body of [large, JSON.stringify({ controller: large }), `[${large}`])
        expect(await work({ body })).toEqual(done);
      const impossible = keyFor("deployment", { namespace: "default", name: "x".repeat(5e6) });
      const good = keyFor("deployment", { namespace: "default", name: "beside" });
      expect(await work(impossible, good)).toEqual(done);
      await refuses(ground.target, [{ Records: "x".repeat(5.9e6) }]);
      expect(await ground.target.call({ ...batchOf(queue), junk: "x".repeat(5.9e6) })).toEqual(done);
    });
    const sets = (await ground.client.list(replicaSets, { namespace: "default" })).items;
    expect(sets.map(({ metadata }) => metadata.ownerReferences?.[0]?.name)).toContain("beside");
  });

  test("slows down a chain of wake-ups, whatever its hop count", async () => {
    const before = await current();
    for (const hops of [100, 1e9, 1e308]) expect(await work(keyFor("deployment", key, "test@1", hops))).toEqual(done);
    expect(await current()).toEqual(before);
    expect(ground.lines.join("\n")).toContain("controllers wake each other in a circle");
  });
});

test("refuses or drops malformed messages, and processes the next key", async () => {
  await refuses(ground.target, shapeless);
  await ground.client.create(deployments, make("next", 0));
  for (const body of ["", "{}", "null", "[]", "7", '{"controller":"deployment","name":"x","cause":"c","hops":"0"}'])
    expect(await work({ body })).toEqual(done);
  const good = batchOf(queue, keyFor("deployment", { namespace: "elsewhere", name: "web" }));
  const spoken = mutantsOf(JSON.parse(good.Records[0]!.body)).map((said) =>
    batchOf(queue, { body: JSON.stringify(said) ?? "" }),
  );
  await endures(
    ground.target,
    fc.oneof(
      mutantsOf(good),
      spoken,
      fc.string().map((body) => batchOf(queue, { body })),
    ),
    250,
  );
  expect(await work(keyFor("deployment", { namespace: "default", name: "next" }))).toEqual(done);
  const sets = (await ground.client.list(replicaSets, { namespace: "default" })).items;
  expect(sets.map(({ metadata }) => metadata.ownerReferences?.[0]?.name)).toContain("next");
});

test("a repeated or late key creates nothing twice and undoes nothing", async () => {
  const { client } = ground;
  await client.create(deployments, make("web", 2));
  const rollout = async (cause: string) => {
    expect(await work(keyFor("deployment", key, cause))).toEqual(done);
    const sets = (await client.list(replicaSets, { namespace: "default" })).items.filter(
      ({ metadata }) => metadata.labels?.["app"] === "web",
    );
    for (const { metadata } of sets)
      expect(await work(keyFor("replica-set", { namespace: "default", name: metadata.name! }, cause))).toEqual(done);
    expect(await work(keyFor("deployment", key, cause))).toEqual(done);
  };
  await rollout("first");
  const first = await current();
  expect(first[2]).toHaveLength(2);
  await rollout("first");
  expect(await current()).toEqual(first);
  // Twice in one batch, and in two batches that differ in their groups.
  const [again, other] = [
    keyFor("deployment", key, "first"),
    { ...keyFor("deployment", key, "first"), group: "other" },
  ];
  expect(await work(again, again, other)).toEqual(done);
  expect(await current()).toEqual(first);
  await client.patch(deployments, key, { spec: { replicas: 3 } } as never, { type: "merge" });
  await rollout("second");
  const second = await current();
  expect(second[2]).toHaveLength(3);
  await rollout("first");
  expect(await current()).toEqual(second);
});
