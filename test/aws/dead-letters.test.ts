import { afterAll, beforeAll, expect, test } from "vitest";
import { type Event, events, type Pod, pods } from "#api";
import { type HttpClient, httpClient } from "#client";
import { work } from "#fargate";
import { deduplicationOf, encodeMessage, groupOf, type Message, type Sent } from "#reconcile/sqs";
import { make } from "#test/make";
import { builtOnce } from "./built-once.ts";
import { ann, tokenFor, whoIs } from "./principals.ts";
import { openStage, type Stage } from "./stage.ts";

/*
 * Keys that failed too often are in a queue of their own: the clock enqueues them again, and records an Event.
 */

let stage: Stage;
let client: HttpClient;
beforeAll(async () => {
  stage = await openStage({ built: builtOnce(), whoIs });
  await stage.deploy();
  client = httpClient({ server: stage.url, ca: stage.ca, token: await tokenFor(ann, stage.clusterId) });
});
afterAll(async () => {
  client?.close();
  await stage?.stop();
});

/** A message as a queue moves it to the dead letters. */
function dead(controller: string, name: string): Sent {
  const message: Message = { controller, key: { namespace: "default", name }, cause: `test-${name}`, hops: 7 };
  return { body: encodeMessage(message), group: groupOf(message), deduplication: deduplicationOf(message) };
}

const minute = (of: number): Date => new Date(Math.floor(Date.now() / 3_600_000) * 3_600_000 + (60 + of) * 60_000);
const toldOf = async (name: string): Promise<string[]> => {
  const { items } = await client.list<Event>(events, { namespace: "default" });
  return items
    .filter(({ involvedObject, reason }) => involvedObject.name === name && reason === "ReconcileFailed")
    .map(({ message = "" }) => message);
};

test("controllers' keys are tried again within five minutes, those of Fargate and the scheduler within an hour", async () => {
  for (const name of ["worn", "torn"])
    await client.create(pods, make.pod({ metadata: { name, namespace: "default" } }) as Pod);
  const [reconcile, fargate, schedule] = ["RECONCILE", "FARGATE", "SCHEDULE"].map((queue) =>
    stage.queue(`SKIFF_${queue}_DEAD_LETTER_QUEUE_URL`),
  );
  await reconcile!.send(dead("pod-eviction", "worn"));
  await reconcile!.send(dead("pod-eviction", "gone"));
  await reconcile!.send({ body: "what?", group: "a", deduplication: "b" });
  await fargate!.send(dead(work.pod, "torn"));
  await schedule!.send(dead("scheduler", "all"));
  const left = () => Promise.all([reconcile!, fargate!, schedule!].map((queue) => queue.count()));
  expect(await left()).toEqual([3, 1, 1]);
  await stage.tick(minute(1));
  expect(await left()).toEqual([3, 1, 1]);
  await stage.tick(minute(5));
  expect(await left()).toEqual([0, 1, 1]);
  await stage.tick(minute(7));
  await stage.tick(minute(37));
  expect(await left()).toEqual([0, 0, 0]);
  expect(await toldOf("worn")).toEqual(["The taint-eviction controller failed too often in a row and is tried again."]);
  expect(await toldOf("torn")).toEqual(["Its Fargate task failed too often in a row and is tried again."]);
});
