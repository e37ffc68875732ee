import { afterEach, beforeEach, expect, test } from "vitest";
import { jobs, type Pod, pods } from "#api";
import { jobController } from "./index.ts";
import { conditionsOf, jobObject, minute, openStage, type Stage, second, start } from "./testing/stage.ts";

let stage: Stage;
beforeEach(async () => {
  stage = await openStage();
});
afterEach(() => stage.close());

const sync = () => stage.settle(jobController, "pi");
const statusOf = async () => (await stage.job()).status ?? {};
const iso = (time: number) => `${new Date(time).toISOString().slice(0, 19)}Z`;
const of = async (index: number) =>
  (await stage.active()).find(
    ({ metadata }) => metadata.annotations?.["batch.kubernetes.io/job-completion-index"] === String(index),
  )!;
const nameOf = ({ metadata }: Pod) => ({ namespace: "default", name: metadata.name ?? "" });

test("a suspended job may fail (validation: startTime is required for finished job)", async () => {
  await stage.make(jobObject({ completions: 3, backoffLimit: 6 }));
  await sync();
  await stage.finish((await stage.active())[0]!, 1);
  await sync();
  await stage.change({ spec: { suspend: true } });
  await sync();
  expect((await statusOf()).startTime).toBeUndefined();
  stage.clock.move(minute);
  await stage.change({ spec: { backoffLimit: 0 } });
  await sync();
  expect(conditionsOf(await stage.job())).toContain("Failed BackoffLimitExceeded");
  expect(await statusOf()).toMatchObject({ startTime: iso(start + minute) });
});

test("a suspended job may complete when a terminating pod succeeds", async () => {
  await stage.make(jobObject({ podReplacementPolicy: "Failed" }));
  await sync();
  const [pod] = await stage.active();
  await stage.run(pod!);
  await stage.client.delete(pods, nameOf(pod!));
  await stage.change({ spec: { suspend: true } });
  await sync();
  stage.clock.move(5 * second);
  await stage.finish(pod!);
  await sync();
  await stage.removeDeleted();
  await sync();
  expect(conditionsOf(await stage.job())).toContain("Complete CompletionsReached");
});

test("a succeeded index does not fail as well (validation: failedIndexes and completedIndexes overlap)", async () => {
  await stage.make(jobObject({ completionMode: "Indexed", completions: 2, parallelism: 2, backoffLimitPerIndex: 1 }));
  await sync();
  const first = await of(0);
  await stage.run(first);
  await stage.client.delete(pods, nameOf(first));
  await sync();
  stage.clock.move(10 * second);
  // One reconcile creates the replacement, the next would remove the first pod's finalizer.
  await stage.reconcile(jobController, "pi");
  const next = await of(0);
  await stage.finish(first);
  await stage.finish(next, 1);
  await sync();
  expect(await statusOf()).toMatchObject({ completedIndexes: "0", failedIndexes: "" });
  await stage.finish(await of(1));
  await sync();
  await stage.removeDeleted();
  await sync();
  expect(conditionsOf(await stage.job())).toContain("Complete CompletionsReached");
});

test("a failed index does not succeed as well, although its pod lost its finalizer late", async () => {
  await stage.close();
  // Writes: two pods, the status, and the status with the failure, after which the controller crashes.
  stage = await openStage({ write: 4, when: "after" });
  await stage.make(jobObject({ completionMode: "Indexed", completions: 2, parallelism: 2, backoffLimitPerIndex: 0 }));
  await sync();
  const pod = await of(0);
  await stage.run(pod);
  await stage.client.delete(pods, nameOf(pod));
  await stage.reconcile(jobController, "pi");
  expect(await statusOf()).toMatchObject({ failedIndexes: "0" });
  await stage.finish(pod);
  await sync();
  const status = await statusOf();
  expect(status).toMatchObject({ failedIndexes: "0", failed: 1 });
  expect(status.completedIndexes).toBeUndefined();
  await stage.finish(await of(1));
  await sync();
  expect(conditionsOf(await stage.job())).toContain("Failed FailedIndexes");
  expect(await statusOf()).toMatchObject({ completedIndexes: "1", failedIndexes: "0", succeeded: 1, failed: 1 });
});

test("a pod that was recorded as failed does not complete the job", async () => {
  await stage.close();
  // Writes: one pod, the status, and the status with the recorded failure, after which the controller crashes.
  stage = await openStage({ write: 3, when: "after" });
  await stage.make(jobObject());
  await sync();
  const [pod] = await stage.active();
  await stage.run(pod!);
  await stage.client.delete(pods, nameOf(pod!));
  await stage.reconcile(jobController, "pi");
  expect(await statusOf()).toMatchObject({ uncountedTerminatedPods: { failed: [pod!.metadata.uid] } });
  await stage.finish(pod!);
  stage.clock.move(10 * second);
  await sync();
  expect(await statusOf()).toMatchObject({ failed: 1, active: 1 });
  expect(conditionsOf(await stage.job())).toEqual([]);
});

test("a pod that was recorded as succeeded is not recorded as failed (validation: Duplicate value)", async () => {
  await stage.make(jobObject({ completions: 2, parallelism: 2 }));
  await sync();
  const [pod] = await stage.active();
  const job = await stage.job();
  const status = { ...job.status, uncountedTerminatedPods: { succeeded: [pod?.metadata.uid ?? ""] } };
  await stage.client.update(jobs, { ...job, status }, { subresource: "status" });
  await stage.finish(pod!, 1);
  await sync();
  expect(await statusOf()).toMatchObject({ succeeded: 1, uncountedTerminatedPods: {}, active: 1 });
  expect((await statusOf()).failed).toBeUndefined();
});
