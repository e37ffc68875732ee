import { afterEach, beforeEach, expect, test } from "vitest";
import { type CronJob, cronJobs, type Job, jobs } from "#api";
import { minute, openStage, type Stage, second, start } from "../job/testing/stage.ts";
import { cronJobController } from "./index.ts";
import { cronObject, finishOn, key, minutesOf, nameAt } from "./testing/cron.ts";

let stage: Stage;
beforeEach(async () => {
  stage = await openStage();
});
afterEach(() => stage.close());

const hour = 60 * minute;
const sync = () => stage.settle(cronJobController, "tick");
const cron = () => stage.client.get(cronJobs, key);
const children = async () =>
  (await stage.client.list(jobs)).items.sort((a, b) => (a.metadata.name! < b.metadata.name! ? -1 : 1));
const names = async () => (await children()).map(({ metadata }) => metadata.name);
const change = (spec: object) => stage.client.patch(cronJobs, key, { spec }, { type: "merge" });
const finish = (name: string, exitCode = 0) => finishOn(stage, name, exitCode);

test("creates a job at its time, names it after the time and writes the status (syncCronJob)", async () => {
  await stage.make(cronObject());
  expect(await sync()).toEqual({ requeueAfter: 10 * minute + 100 });
  expect(await names()).toEqual([]);
  stage.clock.move(10 * minute + 100);
  expect(await sync()).toEqual({ requeueAfter: 10 * minute });
  const [job] = await children();
  expect(job?.metadata).toMatchObject({
    name: nameAt("12:10"),
    annotations: { note: "kept", "batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-03-01T12:10:00Z" },
    ownerReferences: [
      { apiVersion: "batch/v1", kind: "CronJob", name: "tick", controller: true, blockOwnerDeletion: true },
    ],
  });
  expect(job?.metadata.labels).toEqual({ team: "red" });
  expect((await cron()).status).toEqual({
    lastScheduleTime: "2026-03-01T12:10:00Z",
    active: [
      {
        apiVersion: "batch/v1",
        kind: "Job",
        namespace: "default",
        name: nameAt("12:10"),
        uid: job?.metadata.uid,
        resourceVersion: job?.metadata.resourceVersion,
      },
    ],
  });
  expect(stage.events).toEqual([`Normal SuccessfulCreate Created job ${nameAt("12:10")}`]);
});

test("serves each time once when it is reconciled early or twice", async () => {
  await stage.make(cronObject());
  await sync();
  stage.clock.move(10 * minute - 1);
  expect(await sync()).toEqual({ requeueAfter: 101 });
  expect(await names()).toEqual([]);
  stage.clock.move(1);
  await sync();
  await sync();
  stage.clock.move(5 * minute);
  await sync();
  expect(await names()).toEqual([nameAt("12:10")]);
});

test("serves only the last missed time after a delay (mostRecentScheduleTime)", async () => {
  await stage.make(cronObject());
  stage.clock.move(3 * hour + 17 * minute);
  expect(await sync()).toEqual({ requeueAfter: 3 * minute + 100 });
  expect(await names()).toEqual([nameAt("15:10")]);
  expect(stage.events).toHaveLength(1);
});

test("warns of more than a hundred missed times and serves the last one (TooManyMissedTimes)", async () => {
  await stage.make(cronObject({ schedule: "* * * * *" }));
  stage.clock.move(101 * minute + second);
  await sync();
  expect(stage.events[0]).toBe(
    "Warning TooManyMissedTimes too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew",
  );
  expect(await names()).toEqual([nameAt("13:41")]);
  expect(stage.events).toHaveLength(2);
});

test("does not warn of a hundred missed times", async () => {
  await stage.make(cronObject({ schedule: "* * * * *" }));
  stage.clock.move(100 * minute + second);
  await sync();
  expect(stage.events).toEqual([`Normal SuccessfulCreate Created job ${nameAt("13:40")}`]);
});

test("counts only missed times within the deadline (startingDeadlineSeconds)", async () => {
  await stage.make(cronObject({ schedule: "* * * * *", startingDeadlineSeconds: 90 }));
  stage.clock.move(500 * minute + 30 * second);
  await sync();
  expect(stage.events).toEqual([`Normal SuccessfulCreate Created job ${nameAt("20:20")}`]);
});

test("skips a time whose deadline has passed, exact to the second", async () => {
  await stage.make(cronObject({ startingDeadlineSeconds: 60 }));
  stage.clock.move(10 * minute + 59 * second);
  await sync();
  expect(await names()).toEqual([nameAt("12:10")]);
  stage.clock.move(10 * minute + second);
  expect(await sync()).toEqual({ requeueAfter: 9 * minute + 100 - 75 * second });
  expect(await names()).toEqual([nameAt("12:10")]);
});

test.each([0, 10, 30, 59])("where long waits end %i s late, a short deadline is met all the same", async (late) => {
  await stage.make(cronObject({ startingDeadlineSeconds: 10 }));
  const before = stage.clock.now();
  for (let result = await sync(); stage.clock.now() <= before + 20 * minute; result = await sync()) {
    const wait = result?.requeueAfter ?? Number.NaN;
    stage.clock.move(wait > 90 * second ? wait + late * second : wait);
  }
  expect(await names()).toEqual([nameAt("12:10"), nameAt("12:20")]);
});

test("with Allow, runs jobs concurrently", async () => {
  await stage.make(cronObject());
  for (let i = 0; i < 3; i++) {
    stage.clock.move(10 * minute);
    await sync();
  }
  expect(await names()).toEqual([nameAt("12:10"), nameAt("12:20"), nameAt("12:30")]);
  expect((await cron()).status?.active).toHaveLength(3);
});

test("with Forbid, waits for the previous job", async () => {
  await stage.make(cronObject({ concurrencyPolicy: "Forbid" }));
  stage.clock.move(10 * minute);
  await sync();
  stage.clock.move(10 * minute);
  expect(await sync()).toEqual({ requeueAfter: 10 * minute + 100 });
  expect(await names()).toEqual([nameAt("12:10")]);
  expect(stage.events.at(-1)).toBe(
    "Normal JobAlreadyActive Not starting job because prior execution is running and concurrency policy is Forbid",
  );
  stage.clock.move(2 * minute);
  await finish(nameAt("12:10"));
  await sync();
  // The time that had to wait is served.
  expect(await names()).toEqual([nameAt("12:10"), nameAt("12:20")]);
  expect((await cron()).status).toMatchObject({
    lastScheduleTime: "2026-03-01T12:20:00Z",
    lastSuccessfulTime: "2026-03-01T12:22:00Z",
    active: [{ name: nameAt("12:20") }],
  });
  expect(stage.events).toContain(`Normal SawCompletedJob Saw completed job: ${nameAt("12:10")}, condition: Complete`);
});

test("with Replace, deletes the previous job", async () => {
  await stage.make(cronObject({ concurrencyPolicy: "Replace" }));
  stage.clock.move(10 * minute);
  await sync();
  stage.clock.move(10 * minute);
  await sync();
  expect(await names()).toEqual([nameAt("12:20")]);
  expect((await cron()).status?.active).toMatchObject([{ name: nameAt("12:20") }]);
  expect(stage.events.slice(1)).toEqual([
    `Normal SuccessfulDelete Deleted job ${nameAt("12:10")}`,
    `Normal SuccessfulCreate Created job ${nameAt("12:20")}`,
  ]);
});

test("keeps the configured numbers of successful and failed jobs (cleanupFinishedJobs)", async () => {
  await stage.make(cronObject({ successfulJobsHistoryLimit: 2, failedJobsHistoryLimit: 1 }));
  await change({ jobTemplate: { spec: { backoffLimit: 0 } } });
  for (const code of [0, 1, 0, 0, 1]) {
    stage.clock.move(10 * minute);
    await sync();
    await finish((await names()).at(-1)!, code);
    await sync();
  }
  expect(await names()).toEqual([nameAt("12:30"), nameAt("12:40"), nameAt("12:50")]);
  const deleted = stage.events.filter((line) => line.includes("SuccessfulDelete"));
  expect(deleted).toEqual([
    `Normal SuccessfulDelete Deleted job ${nameAt("12:10")}`,
    `Normal SuccessfulDelete Deleted job ${nameAt("12:20")}`,
  ]);
  expect((await cron()).status?.active).toBeUndefined();
});

test("keeps no jobs with a limit of 0, and still writes the status", async () => {
  await stage.make(cronObject({ successfulJobsHistoryLimit: 0 }));
  stage.clock.move(10 * minute);
  await sync();
  stage.clock.move(minute);
  await finish(nameAt("12:10"));
  await sync();
  expect(await names()).toEqual([]);
  expect((await cron()).status).toEqual({
    lastScheduleTime: "2026-03-01T12:10:00Z",
    lastSuccessfulTime: "2026-03-01T12:11:00Z",
  });
});

test("creates nothing while suspended, and serves the last missed time afterwards", async () => {
  await stage.make(cronObject({ suspend: true }));
  stage.clock.move(35 * minute);
  expect(await sync()).toBeUndefined();
  expect(await names()).toEqual([]);
  await change({ suspend: false });
  await sync();
  expect(await names()).toEqual([nameAt("12:30")]);
});

test("reads a schedule in its time zone and annotates the job", async () => {
  await stage.make(cronObject({ schedule: "30 9 * * *", timeZone: "America/New_York" }));
  expect(await sync()).toEqual({ requeueAfter: 2.5 * hour + 100 });
  stage.clock.move(2.5 * hour);
  await sync();
  expect((await children())[0]?.metadata.annotations).toMatchObject({
    "batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-03-01T09:30:00-05:00",
  });
});

test("skips an hour that does not exist in spring, and counts one that occurs twice in autumn twice", async () => {
  await stage.make(cronObject({ schedule: "30 2 * * *", timeZone: "Europe/Berlin" }));
  stage.clock.move(Date.parse("2026-03-28T12:00:00Z") - start);
  await sync();
  const before = (await names()).at(-1);
  stage.clock.move(24 * hour);
  await sync();
  // 02:30 does not exist on 29 March.
  expect((await names()).at(-1)).toBe(before);
  stage.clock.move(24 * hour);
  await sync();
  expect((await names()).at(-1)).toBe(`tick-${minutesOf("2026-03-30T00:30:00Z")}`);
  stage.clock.move(Date.parse("2026-10-25T00:30:00Z") - stage.clock.now());
  expect(await sync()).toEqual({ requeueAfter: hour + 100 });
  stage.clock.move(hour);
  await sync();
  expect((await names()).slice(-2)).toEqual([
    `tick-${minutesOf("2026-10-25T00:30:00Z")}`,
    `tick-${minutesOf("2026-10-25T01:30:00Z")}`,
  ]);
});

test("does not make up for times before the schedule was changed (updateCronJob)", async () => {
  await stage.make(cronObject({ schedule: "0 0 * * *" }));
  stage.clock.move(32 * minute);
  await change({ schedule: "*/15 * * * *" });
  expect(await sync()).toEqual({ requeueAfter: 13 * minute + 100 });
  expect(await names()).toEqual([]);
  // Clients cannot remove the annotation.
  await stage.client.patch(
    cronJobs,
    key,
    { metadata: { annotations: { "skiff.dev/schedule-changed": null } } },
    { type: "merge" },
  );
  await sync();
  expect(await names()).toEqual([]);
  stage.clock.move(13 * minute);
  await sync();
  expect(await names()).toEqual([nameAt("12:45")]);
});

test("reports a schedule that never occurs, and does not wait (InvalidSchedule)", async () => {
  await stage.make(cronObject({ schedule: "59 23 31 2 *" }));
  expect(await sync()).toBeUndefined();
  expect(stage.events).toContain(
    "Warning InvalidSchedule invalid schedule: 59 23 31 2 * : time difference between two schedules is less than 1 second",
  );
});

test("starts an interval at the creation of the cron job (@every)", async () => {
  await stage.make(cronObject({ schedule: "@every 45m" }));
  expect(await sync()).toEqual({ requeueAfter: 45 * minute + 100 });
  stage.clock.move(100 * minute);
  await sync();
  expect(await names()).toEqual([nameAt("13:30")]);
});

test("waits for at most a day", async () => {
  await stage.make(cronObject({ schedule: "@yearly" }));
  expect(await sync()).toEqual({ requeueAfter: 24 * hour });
});

test("adopts a job that an earlier reconcile created, but not another owner's job of that name (IsAlreadyExists)", async () => {
  const made = await stage.make<CronJob>(cronObject());
  stage.clock.move(10 * minute);
  const { jobTemplate } = (await cron()).spec!;
  const { uid = "" } = made.metadata;
  const owner = { apiVersion: "batch/v1", kind: "CronJob", name: "tick", uid, controller: true };
  const metadata = { namespace: "default", name: nameAt("12:10"), ownerReferences: [owner] };
  await stage.client.create(jobs, { metadata, spec: jobTemplate.spec } as Job);
  await sync();
  expect((await cron()).status).toMatchObject({ active: [{ name: nameAt("12:10") }] });
  expect(stage.events).toEqual([
    `Warning UnexpectedJob Saw a job that the controller did not create or forgot: ${nameAt("12:10")}`,
  ]);
  const foreign = { namespace: "default", name: nameAt("12:20") };
  await stage.client.create(jobs, { metadata: foreign, spec: jobTemplate.spec } as Job);
  stage.clock.move(10 * minute);
  expect(await stage.reconcile(cronJobController, "tick")).toEqual({ requeueAfter: 10 * minute + 100 });
  expect((await cron()).status).toMatchObject({
    active: [{ name: nameAt("12:10") }],
    lastScheduleTime: "2026-03-01T12:10:00Z",
  });
});

test("reports a deleted job as missing (MissingJob)", async () => {
  await stage.make(cronObject());
  stage.clock.move(10 * minute);
  await sync();
  await stage.client.delete(jobs, { namespace: "default", name: nameAt("12:10") }, { propagation: "Background" });
  await sync();
  expect((await cron()).status?.active).toBeUndefined();
  expect(stage.events.at(-1)).toBe(`Normal MissingJob Active job went missing: ${nameAt("12:10")}`);
  expect(await names()).toEqual([]);
});

test("creates nothing for a cron job that is being deleted", async () => {
  await stage.make(cronObject());
  await stage.client.patch(cronJobs, key, { metadata: { finalizers: ["example.com/wait"] } }, { type: "merge" });
  await stage.client.delete(cronJobs, key);
  stage.clock.move(10 * minute);
  expect(await sync()).toBeUndefined();
  expect(await names()).toEqual([]);
});
