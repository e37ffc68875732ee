import { type AttributeValue, ScanCommand } from "@aws-sdk/client-dynamodb";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Deployment, deployments } from "#api";
import { builtOnce } from "../built-once.ts";
import { doorsOf, mayDo, writers } from "./doors.ts";
import {
  batchOf,
  endures,
  furnish,
  type Ground,
  mutantsOf,
  openGround,
  refuses,
  shapeless,
  unharmed,
} from "./ground.ts";

/* `functions/stream` against unauthorized callers. A record only wakes; the state is read. */

let ground: Ground;
let isEarly = true;

beforeAll(async () => {
  // Writers send no keys early here, so that all keys are the stream's.
  const refused = { kind: "refused", status: 400, body: { __type: "InvalidMessageContents" } } as const;
  const fault = ({ instance, target }: { instance: string; target: string }) =>
    !isEarly && instance.startsWith("api") && target.startsWith("AmazonSQS") ? refused : undefined;
  ground = await openGround("stream", { fault });
  await furnish(ground);
  isEarly = false;
});
afterAll(() => ground?.stop());

const table = () => builtOnce().wiring.tables.find(({ stream }) => stream)!;
const key = { namespace: "default", name: "web" };
const make = (replicas: number): Deployment =>
  ({
    metadata: key,
    spec: {
      replicas,
      selector: { matchLabels: { app: "web" } },
      template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "web", image: "web:1" }] } },
    },
  }) as Deployment;

type Image = Record<string, unknown>;
/** An attribute as events of streams carry it. */
const carried = (value: unknown): unknown => {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (Array.isArray(value)) return value.map(carried);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, carried(inner)]));
};
/** The records of a type's changes that wake a controller, in order. */
async function recordsOf(type: string) {
  const { Items = [] } = await ground.rows.send(new ScanCommand({ TableName: table().name, ConsistentRead: true }));
  const number = ({ r }: Record<string, AttributeValue>) => Number(r?.N);
  return Items.filter(({ p, w }) => p?.S?.startsWith(`${type}#`) && w)
    .sort((a, b) => number(a) - number(b))
    .map((item) => recordOf(carried(item) as Image));
}
const recordOf = (NewImage: Image, more: object = {}) => ({
  ...{ eventID: "1", eventName: "INSERT", eventSource: "aws:dynamodb", eventSourceARN: table().stream!.arn },
  dynamodb: { NewImage, SequenceNumber: "1" },
  ...more,
});
const stream = (...Records: unknown[]) => ground.target.call({ Records });
const waiting = () =>
  Promise.all(
    ["RECONCILE", "SCHEDULE", "FARGATE"].map((name) => ground.stage.queue(`SKIFF_${name}_QUEUE_URL`).count()),
  );
const nothing: Image = { p: { S: "core/pods#0" }, r: { N: "9" }, v: { S: "x" } };

describe("no identity", () => {
  test("only Lambda calls it, for this cluster's changes, and may read nothing else", () => {
    const { arn, stream: own } = table();
    expect(doorsOf("stream")).toEqual({ callers: [], roles: [], mapped: [own!.arn], readable: [own!.arn] });
    // The writers of the table are functions only.
    const functions = writers.filter((name) => name !== "Wait");
    for (const action of ["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"])
      expect(mayDo(action, arn)).toEqual(functions);
  });

  test("refuses events that are not a stream's", async () => {
    const { eventID: _id, ...unnamed } = recordOf(nothing);
    const records = [
      unnamed,
      recordOf(nothing, { dynamodb: { NewImage: nothing } }),
      recordOf(nothing, { dynamodb: { SequenceNumber: "1" } }),
      { body: JSON.stringify(recordOf(nothing)) },
    ];
    const batches = records.map((record) => ({ Records: [recordOf(nothing), record] }));
    await refuses(ground.target, [...batches, batchOf("arn:aws:sqs:eu-west-1:123456789012:x", { body: "{}" })]);
  });
});

describe("a wrong identity", () => {
  test("rows that are not changes, or of unknown types, wake nothing", async () => {
    const before = await waiting();
    const images: Image[] = [
      nothing,
      // A row of the other table, of a connection, and of another cluster's type.
      { p: { S: "core/pods" }, k: { S: "default/web" }, r: { N: "9" }, w: { N: "0" } },
      { p: { S: "connection" }, k: { S: "c" }, n: { S: "i-1" }, w: { N: "0" } },
      { p: { S: "#0" }, r: { N: "9" }, w: { N: "0" } },
      {},
    ];
    for (const image of images) await stream(recordOf(image)).catch(() => {});
    expect(await waiting()).toEqual(before);
  });
});

describe("a change", () => {
  test("that is repeated or late wakes nothing again", async () => {
    await ground.client.create(deployments, make(1));
    const start = await waiting();
    const [created] = await recordsOf("apps/deployments");
    expect(await stream(created)).toBeNull();
    const first = await waiting();
    expect(first[0]).toBeGreaterThan(start[0]!);
    for (const records of [[created], [created, created]]) expect(await stream(...records)).toBeNull();
    expect(await waiting()).toEqual(first);
    await ground.client.patch(deployments, key, { spec: { replicas: 2 } } as never, { type: "merge" });
    const [, changed] = await recordsOf("apps/deployments");
    await stream(changed);
    const second = await waiting();
    expect(second[0]).toBeGreaterThan(first[0]!);
    for (const records of [[created], [changed, created]]) await stream(...records);
    expect(await waiting()).toEqual(second);
    // It has written nothing: the log alone decides.
    expect((await ground.client.get(deployments, key)).spec?.replicas).toBe(2);
  });

  test("with a fault is refused, and the next change is processed", async () => {
    await refuses(ground.target, [...shapeless, { Records: [{ eventID: "1", dynamodb: {} }] }]);
    const [created] = await recordsOf("apps/deployments");
    const own = { Records: [created] };
    await endures(ground.target, fc.oneof(mutantsOf(own), fc.jsonValue()), 200);
    const before = await waiting();
    await ground.client.patch(deployments, key, { spec: { replicas: 3 } } as never, { type: "merge" });
    await stream((await recordsOf("apps/deployments")).at(-1));
    expect((await waiting())[0]).toBeGreaterThan(before[0]!);
  });
});

test("accepts or refuses oversized events, and the function continues", async () => {
  const filled = (size: number): Image => ({ ...nothing, junk: { S: "x".repeat(size) } });
  let deep: unknown = { S: "x" };
  for (let level = 0; level < 2000; level++) deep = { M: { a: deep } };
  await unharmed(ground.target, async () => {
    expect(await stream(...Array.from({ length: 100 }, () => recordOf(filled(59_000))))).toBeNull();
    expect(await stream(recordOf(filled(5.9e6)))).toBeNull();
    // The message is short, however long the names are.
    await refuses(ground.target, [{ Records: [recordOf({ ["x".repeat(5.9e6)]: 7 })] }]);
    await stream(recordOf({ ...nothing, junk: deep })).catch(() => {});
    expect(await stream(recordOf(nothing))).toBeNull();
  });
});
