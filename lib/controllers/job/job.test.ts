import { afterEach, beforeEach, expect, test } from "vitest";
import { jobController } from "./index.ts";
import { conditionsOf, jobObject, openStage, type Stage, second, start } from "./testing/stage.ts";

let stage: Stage;
beforeEach(async () => {
  stage = await openStage();
});
afterEach(() => stage.close());

const look = () => stage.settle(jobController, "pi");

test("a job of one pod begins, runs and completes (syncJob)", async () => {
  await stage.make(jobObject());
  await look();
  const [pod] = await stage.active();
  expect(pod?.metadata).toMatchObject({ generateName: "pi-", finalizers: ["batch.kubernetes.io/job-tracking"] });
  expect((await stage.job()).status).toEqual({
    startTime: "2026-03-01T12:00:00Z",
    active: 1,
    ready: 0,
    terminating: 0,
    uncountedTerminatedPods: {},
  });
  await stage.run(pod!);
  await look();
  expect((await stage.job()).status).toMatchObject({ active: 1, ready: 1 });
  stage.clock.move(5 * second);
  await stage.finish(pod!);
  await look();
  const job = await stage.job();
  expect(conditionsOf(job)).toEqual(["SuccessCriteriaMet CompletionsReached", "Complete CompletionsReached"]);
  expect(job.status).toMatchObject({
    succeeded: 1,
    ready: 0,
    terminating: 0,
    completionTime: "2026-03-01T12:00:05Z",
    uncountedTerminatedPods: {},
  });
  expect(job.status?.active).toBeUndefined();
  expect((await stage.pods())[0]?.metadata.finalizers).toBeUndefined();
  expect(stage.told).toEqual([
    `Normal SuccessfulCreate Created pod: ${pod?.metadata.name}`,
    "Normal Completed Job completed",
  ]);
  expect(start).toBe(Date.parse("2026-03-01T12:00:00Z"));
});
