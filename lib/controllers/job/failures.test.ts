import { afterEach, beforeEach, expect, test } from "vitest";
import { pods } from "#api";
import { jobController } from "./index.ts";
import { conditionsOf, jobObject, openStage, type Stage, second } from "./testing/stage.ts";

let stage: Stage;
beforeEach(async () => {
  stage = await openStage();
});
afterEach(() => stage.close());

const sync = () => stage.settle(jobController, "pi");
const statusOf = async () => (await stage.job()).status ?? {};

test("replaces a failed pod 10 s, then 20 s, 40 s … after its end (getRemainingTime)", async () => {
  await stage.make(jobObject({ backoffLimit: 9 }));
  await sync();
  for (const wait of [10, 20, 40, 80, 160, 320, 600, 600]) {
    const [pod] = await stage.active();
    await stage.finish(pod!, 1);
    // The controller is notified two seconds late, which does not count as backoff.
    stage.clock.move(2 * second);
    expect(await sync()).toEqual({ requeueAfter: (wait - 2) * second });
    stage.clock.move((wait - 2) * second - 1);
    expect(await sync()).toEqual({ requeueAfter: 1 });
    expect(await stage.active()).toHaveLength(0);
    stage.clock.move(1);
    await sync();
    expect(await stage.active()).toHaveLength(1);
  }
  expect(await statusOf()).toMatchObject({ failed: 8, active: 1 });
});

test("a success resets the backoff (newBackoffRecord)", async () => {
  await stage.make(jobObject({ completions: 4 }));
  await sync();
  for (const [code, wait] of [
    [1, 10],
    [1, 20],
    [0, 0],
    [1, 10],
  ] as const) {
    const [pod] = await stage.active();
    await stage.finish(pod!, code);
    expect(await sync()).toEqual(wait === 0 ? {} : { requeueAfter: wait * second });
    stage.clock.move(Math.max(1, wait) * second);
    await sync();
  }
  expect(await statusOf()).toMatchObject({ failed: 3, succeeded: 1 });
});

test("counts a failure in the same second as a success only if it is observed later", async () => {
  await stage.make(jobObject({ completions: 5, parallelism: 2 }));
  await sync();
  const [one, two] = await stage.active();
  await stage.finish(one!, 1);
  await stage.finish(two!);
  expect(await sync()).toEqual({});
  const [three] = await stage.active();
  await stage.finish(three!, 1);
  expect(await sync()).toEqual({ requeueAfter: 10 * second });
});

test("the backoff continues when the failed pod is deleted", async () => {
  await stage.make(jobObject());
  await sync();
  const [pod] = await stage.active();
  await stage.run(pod!);
  await stage.client.delete(pods, { namespace: "default", name: pod?.metadata.name ?? "" });
  await sync();
  await stage.removeDeleted();
  expect(await stage.pods()).toEqual([]);
  expect(await sync()).toEqual({ requeueAfter: 10 * second });
  expect(await statusOf()).toMatchObject({ failed: 1 });
  stage.clock.move(10 * second);
  await sync();
  expect(await stage.active()).toHaveLength(1);
});

test("fails the job beyond the backoff limit, after its running pods have ended (BackoffLimitExceeded)", async () => {
  await stage.make(jobObject({ backoffLimit: 1, parallelism: 3, completions: 3 }));
  await sync();
  const [one, two, three] = await stage.active();
  await stage.run(three!);
  await stage.finish(one!, 1);
  await stage.finish(two!, 1);
  await sync();
  const message = "Job has reached the specified backoff limit";
  expect((await stage.job()).status?.conditions).toMatchObject([
    { type: "FailureTarget", status: "True", reason: "BackoffLimitExceeded", message },
  ]);
  expect(await statusOf()).toMatchObject({ failed: 3, terminating: 1 });
  expect((await statusOf()).active).toBeUndefined();
  await stage.removeDeleted();
  await sync();
  expect((await stage.job()).status?.conditions?.[1]).toMatchObject({
    type: "Failed",
    status: "True",
    reason: "BackoffLimitExceeded",
    message,
  });
  expect(await statusOf()).toMatchObject({ failed: 3, terminating: 0 });
  expect(stage.events.at(-1)).toBe(`Warning BackoffLimitExceeded ${message}`);
  const { writes } = stage;
  await sync();
  expect(stage.writes).toBe(writes);
});

test("fails at the first failure with a backoff limit of 0", async () => {
  await stage.make(jobObject({ backoffLimit: 0 }));
  await sync();
  await stage.finish((await stage.active())[0]!, 3);
  await sync();
  expect(conditionsOf(await stage.job())).toEqual([
    "FailureTarget BackoffLimitExceeded",
    "Failed BackoffLimitExceeded",
  ]);
  expect(await stage.pods()).toHaveLength(1);
});

test("counts restarts of containers (pastBackoffLimitOnFailure)", async () => {
  const template = { spec: { restartPolicy: "OnFailure", containers: [{ name: "main", image: "busybox" }] } };
  await stage.make(jobObject({ backoffLimit: 3, template }));
  await sync();
  const [pod] = await stage.active();
  const restarted = (restartCount: number) => ({
    phase: "Running",
    containerStatuses: [{ name: "main", ready: false, restartCount, image: "", imageID: "" }],
  });
  await stage.finish(pod!, 0, restarted(2));
  await sync();
  expect(conditionsOf(await stage.job())).toEqual([]);
  await stage.finish(pod!, 0, restarted(3));
  await sync();
  expect(conditionsOf(await stage.job())).toEqual(["FailureTarget BackoffLimitExceeded"]);
});

test("fails a job at its active deadline, exact to the second (pastActiveDeadline)", async () => {
  await stage.make(jobObject({ activeDeadlineSeconds: 30 }));
  expect(await sync()).toEqual({ requeueAfter: 30 * second });
  await stage.run((await stage.active())[0]!);
  stage.clock.move(30 * second - 1);
  expect(await sync()).toEqual({ requeueAfter: 1 });
  stage.clock.move(1);
  await sync();
  expect(conditionsOf(await stage.job())).toEqual(["FailureTarget DeadlineExceeded"]);
  await stage.removeDeleted();
  await sync();
  expect(conditionsOf(await stage.job())).toEqual(["FailureTarget DeadlineExceeded", "Failed DeadlineExceeded"]);
  expect(stage.events.at(-1)).toBe("Warning DeadlineExceeded Job was active longer than specified deadline");
  expect(await statusOf()).toMatchObject({ failed: 1 });
});
