import { afterEach, beforeEach, expect, test } from "vitest";
import { type Pod, pods } from "#api";
import { jobController } from "./index.ts";
import { conditionsOf, jobObject, minute, openStage, type Stage, second } from "./testing/stage.ts";

let stage: Stage;
beforeEach(async () => {
  stage = await openStage();
});
afterEach(() => stage.close());

const sync = () => stage.settle(jobController, "pi");
const statusOf = async () => (await stage.job()).status ?? {};
const indexOf = ({ metadata }: Pod) => Number(metadata.annotations?.["batch.kubernetes.io/job-completion-index"]);
const active = async () => (await stage.active()).map(indexOf).sort((a, b) => a - b);
const of = async (index: number) => (await stage.active()).find((pod) => indexOf(pod) === index)!;
const indexed = (spec: object) => jobObject({ completionMode: "Indexed", parallelism: 9, ...spec });
const exits = (action: string, ...values: number[]) => ({ action, onExitCodes: { operator: "In", values } });

test("gives each pod its index: in name, host name, annotation, label and environment", async () => {
  await stage.make(indexed({ completions: 2 }));
  await sync();
  const pod = await of(1);
  expect(pod.metadata.name).toMatch(/^pi-1-[a-z0-9]{5}$/);
  expect(pod.spec?.hostname).toBe("pi-1");
  expect(pod.metadata.labels).toMatchObject({ "batch.kubernetes.io/job-completion-index": "1" });
  expect(pod.spec?.containers[0]?.env).toEqual([
    {
      name: "JOB_COMPLETION_INDEX",
      valueFrom: {
        fieldRef: { apiVersion: "v1", fieldPath: "metadata.labels['batch.kubernetes.io/job-completion-index']" },
      },
    },
  ]);
});

test("does not override a variable of the same name", async () => {
  const env = [{ name: "JOB_COMPLETION_INDEX", value: "mine" }];
  const template = { spec: { restartPolicy: "Never", containers: [{ name: "main", image: "busybox", env }] } };
  await stage.make(indexed({ completions: 1, template }));
  await sync();
  expect((await of(0)).spec?.containers[0]?.env).toEqual(env);
});

test("limits the length of index pods' names (podGenerateNameWithIndex)", async () => {
  const name = "a".repeat(60);
  const object = jobObject({ completionMode: "Indexed", completions: 1 }, { name });
  await stage.make(object);
  await stage.settle(jobController, name);
  expect((await stage.pods())[0]?.metadata.name).toMatch(/^a{55}-0-[a-z0-9]{5}$/);
});

test("formats completed indexes as intervals (orderedIntervals.String)", async () => {
  await stage.make(indexed({ completions: 9 }));
  await sync();
  expect(await active()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  for (const index of [0, 1, 3, 5, 6, 7]) await stage.finish(await of(index));
  await sync();
  expect(await statusOf()).toMatchObject({ completedIndexes: "0,1,3,5-7", succeeded: 6, active: 3 });
  for (const index of [2, 4, 8]) await stage.finish(await of(index));
  await sync();
  expect(await statusOf()).toMatchObject({ completedIndexes: "0-8", succeeded: 9 });
  expect(conditionsOf(await stage.job())).toContain("Complete CompletionsReached");
});

test("uses the lowest free indexes first (firstPendingIndexes)", async () => {
  await stage.make(indexed({ completions: 6, parallelism: 2 }));
  await sync();
  expect(await active()).toEqual([0, 1]);
  await stage.finish(await of(1));
  await sync();
  expect(await active()).toEqual([0, 2]);
  await stage.finish(await of(0), 1);
  expect(await sync()).toEqual({ requeueAfter: 10 * second });
  stage.clock.move(10 * second);
  await sync();
  expect(await active()).toEqual([0, 2]);
  expect(await statusOf()).toMatchObject({ failed: 1, completedIndexes: "1" });
});

test("deletes duplicate pods of an index and pods without one (appendDuplicatedIndexPodsForRemoval)", async () => {
  await stage.make(indexed({ completions: 3, parallelism: 3 }));
  await sync();
  const kept = await of(1);
  await stage.run(kept);
  const copy = async (name: string, index: string | undefined) => {
    const { uid: _uid, resourceVersion: _revision, name: _name, ...metadata } = kept.metadata;
    const annotations = index === undefined ? {} : { "batch.kubernetes.io/job-completion-index": index };
    await stage.client.create(pods, {
      metadata: { ...metadata, name, annotations },
      spec: { containers: kept.spec!.containers, volumes: kept.spec!.volumes, restartPolicy: "Never" },
    } as never);
  };
  await copy("pi-again", "1");
  await copy("pi-none", undefined);
  await copy("pi-beyond", "7");
  await sync();
  expect((await stage.active()).map(({ metadata }) => metadata.name)).not.toEqual(expect.arrayContaining(["pi-again"]));
  expect(await active()).toEqual([0, 1, 2]);
  expect((await of(1)).metadata.name).toBe(kept.metadata.name);
  expect((await statusOf()).failed).toBeUndefined();
});

test("counts failures, backs off and fails per index (backoffLimitPerIndex)", async () => {
  await stage.make(indexed({ completions: 3, backoffLimitPerIndex: 1 }));
  await sync();
  await stage.finish(await of(0), 1);
  expect(await sync()).toEqual({ requeueAfter: 10 * second });
  // The failed pod is kept until its replacement has its failure count.
  const held = (await stage.pods()).filter(({ status }) => status?.phase === "Failed");
  expect(held[0]?.metadata.finalizers).toEqual(["batch.kubernetes.io/job-tracking"]);
  expect(await statusOf()).toMatchObject({ failedIndexes: "", active: 2 });
  await stage.finish(await of(1));
  stage.clock.move(10 * second);
  await sync();
  expect((await of(0)).metadata.annotations).toMatchObject({ "batch.kubernetes.io/job-index-failure-count": "1" });
  expect(await statusOf()).toMatchObject({ failed: 1, completedIndexes: "1", failedIndexes: "" });
  await stage.finish(await of(0), 1);
  expect(await sync()).toEqual({});
  expect(await statusOf()).toMatchObject({ failed: 2, failedIndexes: "0", active: 1 });
  expect(conditionsOf(await stage.job())).toEqual([]);
  await stage.finish(await of(2));
  await sync();
  expect(await statusOf()).toMatchObject({ completedIndexes: "1,2", failedIndexes: "0", succeeded: 2, failed: 2 });
  expect((await stage.job()).status?.conditions?.at(-1)).toMatchObject({
    type: "Failed",
    reason: "FailedIndexes",
    message: "Job has failed indexes",
  });
});

test("doubles the backoff of an index with each of its failures (getRemainingTimePerIndex)", async () => {
  await stage.make(indexed({ completions: 2, backoffLimitPerIndex: 5 }));
  await sync();
  for (const wait of [10, 20, 40]) {
    await stage.finish(await of(1), 1);
    expect(await sync()).toEqual({ requeueAfter: wait * second });
    stage.clock.move(wait * second);
    await sync();
  }
  expect((await of(1)).metadata.annotations).toMatchObject({ "batch.kubernetes.io/job-index-failure-count": "3" });
  await stage.finish(await of(0), 1);
  expect(await sync()).toEqual({ requeueAfter: 10 * second });
});

test("fails the job at once when too many indexes have failed (MaxFailedIndexesExceeded)", async () => {
  await stage.make(indexed({ completions: 4, backoffLimitPerIndex: 0, maxFailedIndexes: 1 }));
  await sync();
  await stage.run(await of(3));
  await stage.finish(await of(0), 1);
  await sync();
  expect(conditionsOf(await stage.job())).toEqual([]);
  await stage.finish(await of(1), 1);
  await sync();
  expect((await stage.job()).status?.conditions).toMatchObject([
    {
      type: "FailureTarget",
      reason: "MaxFailedIndexesExceeded",
      message: "Job has exceeded the specified maximal number of failed indexes",
    },
  ]);
  await stage.removeDeleted();
  await sync();
  expect(await statusOf()).toMatchObject({ failedIndexes: "0,1", terminating: 0 });
  expect(conditionsOf(await stage.job())).toContain("Failed MaxFailedIndexesExceeded");
});

test("FailIndex fails an index at once, Ignore does not count, FailJob fails the job (podFailurePolicy)", async () => {
  const rules = [exits("FailIndex", 3), exits("Ignore", 4), exits("FailJob", 5)];
  await stage.make(indexed({ completions: 3, backoffLimitPerIndex: 1, podFailurePolicy: { rules } }));
  await sync();
  await stage.finish(await of(0), 3);
  await sync();
  expect(await statusOf()).toMatchObject({ failedIndexes: "0", failed: 1 });
  for (const wait of [10, 20, 40]) {
    await stage.finish(await of(1), 4);
    expect(await sync()).toEqual({ requeueAfter: wait * second });
    stage.clock.move(wait * second);
    await sync();
  }
  expect((await of(1)).metadata.annotations).toMatchObject({
    "batch.kubernetes.io/job-index-failure-count": "0",
    "batch.kubernetes.io/job-index-ignored-failure-count": "3",
  });
  expect(await statusOf()).toMatchObject({ failed: 1 });
  const pod = await of(2);
  await stage.finish(pod, 5);
  await sync();
  const { name } = pod.metadata;
  expect((await stage.job()).status?.conditions).toMatchObject([
    {
      type: "FailureTarget",
      reason: "PodFailurePolicy",
      message: `Container main for pod default/${name} failed with exit code 5 matching FailJob rule at index 2`,
    },
    { type: "Failed", reason: "PodFailurePolicy" },
  ]);
});

test("applies a rule to pod conditions (matchOnPodConditions)", async () => {
  const onPodConditions = [{ type: "DisruptionTarget" }];
  const rules = [
    { action: "Ignore", onPodConditions },
    { action: "FailJob", onPodConditions: [{ type: "Broken" }] },
  ];
  await stage.make(jobObject({ backoffLimit: 0, podFailurePolicy: { rules } }));
  await sync();
  const failed = (type: string) => ({ conditions: [{ type, status: "True" }] });
  await stage.finish((await stage.active())[0]!, 1, failed("DisruptionTarget"));
  expect(await sync()).toEqual({ requeueAfter: 10 * second });
  expect((await statusOf()).failed).toBeUndefined();
  stage.clock.move(10 * second);
  await sync();
  const [pod] = await stage.active();
  await stage.finish(pod!, 1, failed("Broken"));
  await sync();
  expect((await statusOf()).conditions?.[0]?.message).toBe(
    `Pod default/${pod?.metadata.name} has condition Broken matching FailJob rule at index 1`,
  );
});

test("ends the job early by its success policy, without counting running pods as failed (matchSuccessPolicy)", async () => {
  const rules = [{ succeededIndexes: "0,2", succeededCount: 2 }, { succeededCount: 4 }];
  await stage.make(indexed({ completions: 5, successPolicy: { rules } }));
  await sync();
  await stage.run(await of(4));
  for (const index of [0, 1]) await stage.finish(await of(index));
  await sync();
  expect(conditionsOf(await stage.job())).toEqual([]);
  await stage.finish(await of(2));
  await sync();
  expect(conditionsOf(await stage.job())).toEqual(["SuccessCriteriaMet SuccessPolicy"]);
  expect((await statusOf()).conditions?.[0]?.message).toBe("Matched rules at index 0");
  expect(await statusOf()).toMatchObject({ terminating: 1, succeeded: 3 });
  stage.clock.move(minute);
  await stage.removeDeleted();
  await sync();
  const job = await stage.job();
  expect(conditionsOf(job)).toEqual(["SuccessCriteriaMet SuccessPolicy", "Complete SuccessPolicy"]);
  expect(job.status).toMatchObject({ completedIndexes: "0-2", completionTime: "2026-03-01T12:01:00Z", terminating: 0 });
  expect(job.status?.failed).toBeUndefined();
});

test("scales an indexed job with its parallelism", async () => {
  await stage.make(indexed({ completions: 4, parallelism: 4 }));
  await sync();
  for (const index of [0, 3]) await stage.finish(await of(index));
  await sync();
  expect(await statusOf()).toMatchObject({ completedIndexes: "0,3", succeeded: 2 });
  await stage.change({ spec: { completions: 2, parallelism: 2 } });
  await sync();
  expect(await active()).toEqual([1]);
  expect(await statusOf()).toMatchObject({ completedIndexes: "0", succeeded: 1 });
  await stage.change({ spec: { completions: 3, parallelism: 3 } });
  await sync();
  expect(await active()).toEqual([1, 2]);
});
