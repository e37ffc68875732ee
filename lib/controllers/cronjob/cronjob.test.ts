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

test("a job is made at its time, named after it and told of in the status (syncCronJob)", async () => {
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

test("woken early, twice or by anything else, it serves each time once", async () => {
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

test("woken late, or after a long sleep, it makes up for the last time alone (mostRecentScheduleTime)", async () => {
  await stage.make(cronObject());
  stage.clock.move(3 * hour + 17 * minute);
  expect(await sync()).toEqual({ requeueAfter: 3 * minute + 100 });
  expect(await names()).toEqual([nameAt("15:10")]);
  expect(stage.events).toHaveLength(1);
});

test("more than a hundred missed times are told of, and the last one is served (TooManyMissedTimes)", async () => {
  await stage.make(cronObject({ schedule: "* * * * *" }));
  stage.clock.move(101 * minute + second);
  await sync();
  expect(stage.events[0]).toBe(
    "Warning TooManyMissedTimes too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew",
  );
  expect(await names()).toEqual([nameAt("13:41")]);
  expect(stage.events).toHaveLength(2);
});

test("a hundred missed times are no news", async () => {
  await stage.make(cronObject({ schedule: "* * * * *" }));
  stage.clock.move(100 * minute + second);
  await sync();
  expect(stage.events).toEqual([`Normal SuccessfulCreate Created job ${nameAt("13:40")}`]);
});

test("with a deadline only what it covers counts (startingDeadlineSeconds)", async () => {
  await stage.make(cronObject({ schedule: "* * * * *", startingDeadlineSeconds: 90 }));
  stage.clock.move(500 * minute + 30 * second);
  await sync();
  expect(stage.events).toEqual([`Normal SuccessfulCreate Created job ${nameAt("20:20")}`]);
});

test("a time whose deadline has passed is left out, to the second", async () => {
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

test("jobs may run beside each other (Allow)", async () => {
  await stage.make(cronObject());
  for (let i = 0; i < 3; i++) {
    stage.clock.move(10 * minute);
    await sync();
  }
  expect(await names()).toEqual([nameAt("12:10"), nameAt("12:20"), nameAt("12:30")]);
  expect((await cron()).status?.active).toHaveLength(3);
});

test("a job waits for the one before it (Forbid)", async () => {
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
  // What had to wait is made up for.
  expect(await names()).toEqual([nameAt("12:10"), nameAt("12:20")]);
  expect((await cron()).status).toMatchObject({
    lastScheduleTime: "2026-03-01T12:20:00Z",
    lastSuccessfulTime: "2026-03-01T12:22:00Z",
    active: [{ name: nameAt("12:20") }],
  });
  expect(stage.events).toContain(`Normal SawCompletedJob Saw completed job: ${nameAt("12:10")}, condition: Complete`);
});

test("a job takes the place of the one before it (Replace)", async () => {
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

test("so many jobs that ended are kept, good and bad apart (cleanupFinishedJobs)", async () => {
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

test("none may be kept; what it came to is told all the same", async () => {
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

test("suspended it starts nothing; afterwards it makes up for the last time", async () => {
  await stage.make(cronObject({ suspend: true }));
  stage.clock.move(35 * minute);
  expect(await sync()).toBeUndefined();
  expect(await names()).toEqual([]);
  await change({ suspend: false });
  await sync();
  expect(await names()).toEqual([nameAt("12:30")]);
});

test("a schedule is read in its zone, and the job says so", async () => {
  await stage.make(cronObject({ schedule: "30 9 * * *", timeZone: "America/New_York" }));
  expect(await sync()).toEqual({ requeueAfter: 2.5 * hour + 100 });
  stage.clock.move(2.5 * hour);
  await sync();
  expect((await children())[0]?.metadata.annotations).toMatchObject({
    "batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-03-01T09:30:00-05:00",
  });
});

test("an hour that does not exist in spring is skipped, one that comes twice in autumn counts twice", async () => {
  await stage.make(cronObject({ schedule: "30 2 * * *", timeZone: "Europe/Berlin" }));
  stage.clock.move(Date.parse("2026-03-28T12:00:00Z") - start);
  await sync();
  const before = (await names()).at(-1);
  stage.clock.move(24 * hour);
  await sync();
  // On 29 March there is no half past two.
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

test("a new schedule is no reason to make up for what nobody had planned (updateCronJob)", async () => {
  await stage.make(cronObject({ schedule: "0 0 * * *" }));
  stage.clock.move(32 * minute);
  await change({ schedule: "*/15 * * * *" });
  expect(await sync()).toEqual({ requeueAfter: 13 * minute + 100 });
  expect(await names()).toEqual([]);
  // Nobody can make it forget.
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

test("a schedule that never comes is told of, and nothing is waited for (InvalidSchedule)", async () => {
  await stage.make(cronObject({ schedule: "59 23 31 2 *" }));
  expect(await sync()).toBeUndefined();
  expect(stage.events).toContain(
    "Warning InvalidSchedule invalid schedule: 59 23 31 2 * : time difference between two schedules is less than 1 second",
  );
});

test("a steady distance begins with the cron job (@every)", async () => {
  await stage.make(cronObject({ schedule: "@every 45m" }));
  expect(await sync()).toEqual({ requeueAfter: 45 * minute + 100 });
  stage.clock.move(100 * minute);
  await sync();
  expect(await names()).toEqual([nameAt("13:30")]);
});

test("nobody sleeps for longer than a day", async () => {
  await stage.make(cronObject({ schedule: "@yearly" }));
  expect(await sync()).toEqual({ requeueAfter: 24 * hour });
});

test("a job that another look has made is taken over; somebody else's of that name is let be (IsAlreadyExists)", async () => {
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

test("a job that somebody deletes is missed (MissingJob)", async () => {
  await stage.make(cronObject());
  stage.clock.move(10 * minute);
  await sync();
  await stage.client.remove(jobs, { namespace: "default", name: nameAt("12:10") }, { propagation: "Background" });
  await sync();
  expect((await cron()).status?.active).toBeUndefined();
  expect(stage.events.at(-1)).toBe(`Normal MissingJob Active job went missing: ${nameAt("12:10")}`);
  expect(await names()).toEqual([]);
});

test("a cron job that is being deleted starts nothing", async () => {
  await stage.make(cronObject());
  await stage.client.patch(cronJobs, key, { metadata: { finalizers: ["example.com/wait"] } }, { type: "merge" });
  await stage.client.remove(cronJobs, key);
  stage.clock.move(10 * minute);
  expect(await sync()).toBeUndefined();
  expect(await names()).toEqual([]);
});
