import { afterEach, beforeEach, expect, test } from "vitest";
import { type Event, events, namespaces, nodes, type Pod, pods } from "#api";
import { ApiError, silentLog } from "#base";
import type { Client } from "#client";
import { openCluster, type TestCluster } from "#test/cluster";
import { make } from "#test/make";
import { createRecorder, type Recorder } from "./index.ts";

let cluster: TestCluster;
let record: Recorder;
let warnings: string[];
beforeEach(async () => {
  warnings = [];
  cluster = await openCluster({ asleep: true });
  await cluster.client.create(namespaces, { metadata: { name: "default" } });
  record = recorderOver(cluster.client);
});
afterEach(() => cluster.close());

const recorderOver = (client: Client): Recorder => {
  const log = { ...silentLog, warn: (text: string) => void warnings.push(text) };
  return createRecorder({ client, clock: cluster.clock, log, component: "test-controller", host: "one" });
};
const podOf = (name: string): Pod => make.pod({ metadata: { name, uid: `uid-${name}` } }) as Pod;
const about = { kind: pods, object: podOf("web") };
const written = async (): Promise<Event[]> => {
  await record.settled();
  return (await cluster.client.list(events)).items;
};

test("creates an Event with the recorder's component and host", async () => {
  record({ ...about, fieldPath: "spec.containers{main}" }, "Normal", "Started", "Container started");
  const [event] = await written();
  expect(event).toMatchObject({
    metadata: { namespace: "default", name: expect.stringMatching(/^web\.[0-9a-f]+$/) },
    involvedObject: { apiVersion: "v1", kind: "Pod", name: "web", uid: "uid-web", fieldPath: "spec.containers{main}" },
    type: "Normal",
    reason: "Started",
    message: "Container started",
    source: { component: "test-controller", host: "one" },
    reportingComponent: "test-controller",
    reportingInstance: "one",
    count: 1,
    firstTimestamp: "2030-01-01T00:00:00Z",
  });
});

test("increases the count of a repeated event, and keeps those of other components apart", async () => {
  for (let time = 0; time < 3; time++) record(about, "Warning", "Failed", "no");
  record(about, "Warning", "Failed", "no", "other-controller");
  record(about, "Normal", "Failed", "no");
  const counts = (await written()).map(({ type, source, count }) => `${type} ${source?.component} ${count}`).sort();
  expect(counts).toEqual(["Normal test-controller 1", "Warning other-controller 1", "Warning test-controller 3"]);
});

test("creates a repeated event again when it was deleted meanwhile", async () => {
  record(about, "Warning", "Failed", "no");
  for (const { metadata } of await written())
    await cluster.client.delete(events, { namespace: "default", name: metadata.name ?? "" });
  record(about, "Warning", "Failed", "no");
  expect((await written()).map(({ count }) => count)).toEqual([1]);
});

// EventSourceObjectSpamFilter (client-go tools/record/events_cache.go, v0.37.2): 25 at once, then one in five minutes.
test("drops events about one object beyond a burst of 25, and accepts one more every five minutes", async () => {
  for (let number = 0; number < 30; number++) record(about, "Normal", "Changed", String(number));
  record({ kind: pods, object: podOf("other") }, "Normal", "Changed", "other");
  expect(await written()).toHaveLength(26);
  cluster.clock.move(300_000);
  record(about, "Normal", "Changed", "late");
  record(about, "Normal", "Changed", "too many");
  expect(await written()).toHaveLength(27);
});

test("writes events about objects without a namespace to default, and shortens long messages", async () => {
  const node = await cluster.addNode("one");
  record({ kind: nodes, object: node }, "Normal", "Ready", "x".repeat(2000));
  const [event] = await written();
  expect(event?.metadata.namespace).toBe("default");
  expect(event?.involvedObject).not.toHaveProperty("namespace");
  expect(event?.message).toHaveLength(1024);
});

test.each([
  ["Forbidden", []],
  ["NotFound", []],
  ["InternalError", ["an event could not be written"]],
])("never rejects: %s is logged as %j", async (reason, logged) => {
  const failing: Client = { ...cluster.client, create: () => Promise.reject(new ApiError(500, reason, "no")) };
  record = recorderOver(failing);
  record(about, "Normal", "Changed", "1");
  await expect(record.settled()).resolves.toBeUndefined();
  expect(warnings).toEqual(logged);
});
