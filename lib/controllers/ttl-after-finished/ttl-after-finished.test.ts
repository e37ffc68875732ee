import { afterEach, beforeEach, expect, test } from "vitest";
import { jobs } from "#api";
import { jobController } from "../job/index.ts";
import { jobObject, openStage, type Stage, second } from "../job/testing/stage.ts";
import { ttlAfterFinishedController } from "./index.ts";

let stage: Stage;
beforeEach(async () => {
  stage = await openStage();
});
afterEach(() => stage.close());

const sync = () => stage.settle(ttlAfterFinishedController, "pi");

async function runJob(spec: Record<string, unknown>, exitCode = 0): Promise<void> {
  await stage.make(jobObject({ backoffLimit: 0, ...spec }));
  await stage.settle(jobController, "pi");
  await stage.finish((await stage.active())[0]!, exitCode);
  await stage.settle(jobController, "pi");
}

test.each([0, 1])(
  "keeps a job that ended with %i for its TTL, then deletes it in the foreground (processJob)",
  async (code) => {
    await runJob({ ttlSecondsAfterFinished: 100 }, code);
    expect(await sync()).toEqual({ requeueAfter: 100 * second });
    stage.clock.move(100 * second - 1);
    expect(await sync()).toEqual({ requeueAfter: 1 });
    expect((await stage.job()).metadata.deletionTimestamp).toBeUndefined();
    stage.clock.move(1);
    await sync();
    expect((await stage.job()).metadata).toMatchObject({ finalizers: ["foregroundDeletion"] });
    const { writes } = stage;
    await sync();
    expect(stage.writes).toBe(writes);
  },
);

test("deletes a job without a wait at once; keeps one without a TTL and one that still runs (needsCleanup)", async () => {
  await stage.make(jobObject({ ttlSecondsAfterFinished: 0 }, { name: "running" }));
  expect(await stage.settle(ttlAfterFinishedController, "running")).toBeUndefined();
  await runJob({});
  expect(await sync()).toBeUndefined();
  await stage.change({ spec: { ttlSecondsAfterFinished: 0 } });
  await sync();
  expect((await stage.job()).metadata.deletionTimestamp).toBeDefined();
});

test("respects a TTL that is extended meanwhile", async () => {
  await runJob({ ttlSecondsAfterFinished: 10 });
  stage.clock.move(9 * second);
  await stage.change({ spec: { ttlSecondsAfterFinished: 60 } });
  stage.clock.move(second);
  expect(await sync()).toEqual({ requeueAfter: 50 * second });
});

test("waits for at most a day", async () => {
  await runJob({ ttlSecondsAfterFinished: 30 * 24 * 3600 });
  expect(await sync()).toEqual({ requeueAfter: 24 * 3600 * second });
  expect((await stage.client.list(jobs)).items).toHaveLength(1);
});
