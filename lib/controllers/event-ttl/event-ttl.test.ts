import { afterAll, beforeAll, expect, test } from "vitest";
import { type Event, events } from "#api";
import { ignoreNotFound, silentLog, systemRandom } from "#base";
import { openCluster, type TestCluster } from "#test/cluster";
import { handClock } from "#test/make";
import { eventTtlController } from "./index.ts";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await openCluster();
});
afterAll(() => cluster.close());

const hour = 3_600_000;

test("deletes an event an hour after its last write, not before", async () => {
  const name = { namespace: "default", name: "told" };
  const involvedObject = { kind: "Pod", namespace: "default", name: "p" };
  const made = await cluster.client.create(events, {
    metadata: name,
    involvedObject,
    reason: "R",
    message: "m",
    type: "Normal",
  } as Event);
  const written = Date.parse(made.metadata.creationTimestamp!);
  const clock = handClock(written + hour - 1000);
  const context = {
    client: cluster.client,
    served: cluster.plane.resources.registry,
    clock,
    random: systemRandom,
    log: silentLog,
    record: () => {},
    signal: new AbortController().signal,
  };
  expect(await eventTtlController.reconcile(context, name)).toEqual({ requeueAfter: 1000 });

  // Counted once more half an hour later: the hour starts again.
  const lastTimestamp = `${new Date(written + hour / 2).toISOString().slice(0, 19)}Z`;
  await cluster.client.patch(events, name, { count: 2, lastTimestamp }, { type: "merge" });
  clock.move(1000);
  expect(await eventTtlController.reconcile(context, name)).toEqual({ requeueAfter: hour / 2 });

  clock.move(hour / 2);
  expect(await eventTtlController.reconcile(context, name)).toBeUndefined();
  expect(await ignoreNotFound(cluster.client.get(events, name))).toBeUndefined();
});
