import { afterEach, beforeEach, expect, test } from "vitest";
import { cronJobs, jobs } from "#api";
import { type Death, minute, openStage, type Stage } from "../job/testing/stage.ts";
import { cronJobController } from "./index.ts";
import { cronObject, finishOn, key, nameAt } from "./testing/cron.ts";

let stage: Stage;
beforeEach(async () => {
  stage = await openStage();
});
afterEach(() => stage.close());

const sync = () => stage.settle(cronJobController, "tick");
const cron = () => stage.client.get(cronJobs, key);
const names = async () => (await stage.client.list(jobs)).items.map(({ metadata }) => metadata.name);

/** A cron job whose controller crashes after it has created its first job and before it has written the status. */
async function openForgetful(spec: Record<string, unknown>): Promise<void> {
  await stage.close();
  stage = await openStage({ write: 1, when: "after" });
  await stage.make(cronObject(spec));
  stage.clock.move(10 * minute);
  await stage.reconcile(cronJobController, "tick");
  expect((await cron()).status?.lastScheduleTime).toBeUndefined();
  expect(await names()).toEqual([nameAt("12:10")]);
}

test("with Forbid, counts a job that was created before a crash as active", async () => {
  await openForgetful({ concurrencyPolicy: "Forbid" });
  stage.clock.move(10 * minute);
  await sync();
  expect(await names()).toEqual([nameAt("12:10")]);
  expect((await cron()).status).toMatchObject({
    lastScheduleTime: "2026-03-01T12:10:00Z",
    active: [{ name: nameAt("12:10") }],
  });
});

test("does not create a job again that was created before a crash and has ended since", async () => {
  await openForgetful({ successfulJobsHistoryLimit: 0, timeZone: "Asia/Kolkata" });
  await finishOn(stage, nameAt("12:10"));
  await sync();
  expect(await names()).toEqual([]);
  expect((await cron()).status).toEqual({
    lastScheduleTime: "2026-03-01T12:10:00Z",
    lastSuccessfulTime: "2026-03-01T12:10:00Z",
  });
});

/**
 * Four scheduled times: a success, a failure, one that is replaced, a success. Keeps no failed jobs and `kept`
 * successful ones.
 */
async function tell(kept: number, death?: Death) {
  const on = await openStage(death);
  try {
    await on.make(
      cronObject({ successfulJobsHistoryLimit: kept, failedJobsHistoryLimit: 0, concurrencyPolicy: "Replace" }),
    );
    const list = async () => (await on.client.list(jobs)).items.map(({ metadata }) => metadata.name ?? "").sort();
    for (const code of [0, 1, undefined, 0]) {
      on.clock.move(10 * minute);
      await on.settle(cronJobController, "tick");
      on.clock.move(minute);
      if (code !== undefined) {
        const name = (await list()).at(-1)!;
        await on.client.patch(jobs, { namespace: "default", name }, { spec: { backoffLimit: 0 } }, { type: "merge" });
        await finishOn(on, name, code);
      }
      await on.settle(cronJobController, "tick");
      on.clock.move(-minute);
    }
    return { status: (await on.client.get(cronJobs, key)).status, jobs: await list(), writes: on.writes };
  } finally {
    await on.close();
  }
}

test.each([0, 1])(
  "with a history of %i, reaches the same end wherever the controller crashes",
  { timeout: 60_000 },
  async (kept) => {
    const undisturbed = await tell(kept);
    expect(undisturbed.status).toEqual({
      lastScheduleTime: "2026-03-01T12:40:00Z",
      lastSuccessfulTime: "2026-03-01T12:41:00Z",
    });
    expect(undisturbed.jobs).toEqual([nameAt("12:40")].slice(0, kept));
    for (let write = 1; write <= undisturbed.writes; write++) {
      for (const when of ["before", "after"] as const) {
        const { status, jobs: left } = await tell(kept, { write, when });
        const { status: wanted, jobs: rest } = undisturbed;
        expect({ status, left }, `dies ${when} write ${write}`).toEqual({ status: wanted, left: rest });
      }
    }
  },
);
