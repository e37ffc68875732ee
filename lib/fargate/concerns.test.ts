import { expect, test } from "vitest";
import type { Pod } from "#api";
import type { Change } from "#store";
import { fargateWork, type PodEvents } from "./concerns.ts";
import { conditionOf, type TaskRecord } from "./record.ts";

const namespace = "default";
const index = (nodeName: string) => ({ fields: { "spec.nodeName": nodeName } });
const change = (type: string, before?: string, after = "fargate"): Change =>
  ({
    type,
    entry: { index: index(after) },
    ...(before === undefined ? {} : { previous: { index: index(before) } }),
  }) as unknown as Change;
const seen =
  (object: object = {}): PodEvents =>
  () => ({
    type: "MODIFIED",
    object: { metadata: { name: "web", namespace }, ...object } as Pod,
    previous: { metadata: {} } as Pod,
  });
const key = [{ controller: "fargate", key: { namespace, name: "web" } }];

test("pods that were bound, and pods that are being deleted", () => {
  const deleted = { metadata: { name: "web", namespace, deletionTimestamp: "2030-01-01T00:00:00Z" } };
  expect(fargateWork("core/pods", change("update", ""), seen())).toEqual(key);
  expect(fargateWork("core/pods", change("create"), seen())).toEqual(key);
  expect(fargateWork("core/pods", change("update", "fargate"), seen())).toEqual([]);
  expect(fargateWork("core/pods", change("update", "fargate"), seen(deleted))).toEqual(key);
  expect(fargateWork("core/pods", change("update", "", "other"), seen())).toEqual([]);
  expect(fargateWork("core/events", change("create"), seen())).toEqual([]);
});

test("tasks of deleted pods, unless they have stopped", () => {
  const arn = "arn:aws:ecs:eu-west-1:123456789012:task/skiff-demo/a";
  const record: TaskRecord = { arn, version: 3, created: 0, stopped: false, attempt: 0, failures: 0 };
  const gone = (one: TaskRecord) => seen({ status: { conditions: [conditionOf(one, "RUNNING")] } });
  const told = (events: PodEvents) => fargateWork("core/pods", change("delete", "fargate"), events);
  expect(told(gone(record))).toEqual([{ controller: "fargate-stop", key: { name: arn } }]);
  expect(told(gone({ ...record, stopped: true }))).toEqual([]);
  expect(told(seen())).toEqual([]);
});
