import { afterEach, beforeEach, expect, test } from "vitest";
import { jobs, type Pod, pods, serviceAccounts } from "#api";
import { ignoreNotFound } from "#base";
import { jobController } from "./index.ts";
import { conditionsOf, jobObject, minute, openStage, type Stage, second, start } from "./testing/stage.ts";

let stage: Stage;
beforeEach(async () => {
  stage = await openStage();
});
afterEach(() => stage.close());

const sync = () => stage.settle(jobController, "pi");
const statusOf = async () => (await stage.job()).status ?? {};
const namesOf = (list: Pod[]) => list.map(({ metadata }) => metadata.name);
const iso = (time: number) => `${new Date(time).toISOString().slice(0, 19)}Z`;

test("runs a job of one pod to completion (syncJob)", async () => {
  await stage.make(jobObject());
  await sync();
  const [pod] = await stage.active();
  expect(pod?.metadata).toMatchObject({ generateName: "pi-", finalizers: ["batch.kubernetes.io/job-tracking"] });
  const begun = { startTime: "2026-03-01T12:00:00Z", terminating: 0, uncountedTerminatedPods: {} };
  expect(await statusOf()).toEqual({ ...begun, active: 1, ready: 0 });
  await stage.run(pod!);
  await sync();
  expect(await statusOf()).toMatchObject({ active: 1, ready: 1 });
  stage.clock.move(5 * second);
  await stage.finish(pod!);
  await sync();
  const job = await stage.job();
  expect(conditionsOf(job)).toEqual(["SuccessCriteriaMet CompletionsReached", "Complete CompletionsReached"]);
  expect(job.status).toEqual({
    ...begun,
    ready: 0,
    succeeded: 1,
    completionTime: "2026-03-01T12:00:05Z",
    conditions: job.status?.conditions,
  });
  expect((await stage.pods())[0]?.metadata.finalizers).toBeUndefined();
  expect(stage.events).toEqual([
    `Normal SuccessfulCreate Created pod: ${pod?.metadata.name}`,
    "Normal Completed Job completed",
  ]);
});

test("runs no more pods than are needed for the completions (manageJob)", async () => {
  await stage.make(jobObject({ completions: 5, parallelism: 3 }));
  await sync();
  expect(await stage.active()).toHaveLength(3);
  for (const pod of await stage.active()) await stage.finish(pod);
  await sync();
  expect(await stage.active()).toHaveLength(2);
  expect(await statusOf()).toMatchObject({ active: 2, succeeded: 3 });
});

test("follows a change of parallelism: the least advanced pods are deleted and do not count as failed", async () => {
  await stage.make(jobObject({ completions: 9, parallelism: 3 }));
  await sync();
  const [first] = await stage.active();
  await stage.run(first!);
  await stage.change({ spec: { parallelism: 1 } });
  await sync();
  expect(namesOf(await stage.active())).toEqual([first?.metadata.name]);
  expect(stage.events.filter((line) => line.includes("SuccessfulDelete"))).toHaveLength(2);
  await stage.change({ spec: { parallelism: 4 } });
  await sync();
  expect(await stage.active()).toHaveLength(4);
  expect((await statusOf()).failed).toBeUndefined();
});

test("without completions, one success completes the job once the other pods have finished", async () => {
  await stage.make(jobObject({ parallelism: 3 }));
  await sync();
  const [one, two, three] = await stage.active();
  await stage.finish(one!);
  await sync();
  expect(await stage.active()).toHaveLength(2);
  expect(conditionsOf(await stage.job())).toEqual([]);
  await stage.finish(two!, 1);
  await sync();
  expect(await stage.active()).toHaveLength(1);
  await stage.finish(three!);
  await sync();
  expect(await statusOf()).toMatchObject({ succeeded: 2, failed: 1 });
  expect(conditionsOf(await stage.job())).toContain("Complete CompletionsReached");
});

test("deletes the pods of a suspended job, and starts again when it is resumed (manageJob, ensureJobConditionStatus)", async () => {
  await stage.make(jobObject({ suspend: true, activeDeadlineSeconds: 60, completions: 2, parallelism: 2 }));
  expect(await sync()).toEqual({});
  expect(await stage.pods()).toEqual([]);
  expect((await statusOf()).startTime).toBeUndefined();
  expect(conditionsOf(await stage.job())).toEqual(["Suspended JobSuspended"]);
  stage.clock.move(minute);
  await stage.change({ spec: { suspend: false } });
  expect(await sync()).toEqual({ requeueAfter: minute });
  expect(await statusOf()).toMatchObject({ active: 2, startTime: iso(start + minute) });
  const [one, two] = await stage.active();
  await stage.run(one!);
  await stage.finish(two!);
  stage.clock.move(50 * second);
  await stage.change({ spec: { suspend: true } });
  await sync();
  // Deleted pods do not count as failed; succeeded pods still count.
  expect(await statusOf()).toMatchObject({ succeeded: 1, terminating: 1, ready: 0 });
  expect((await statusOf()).failed).toBeUndefined();
  expect((await statusOf()).startTime).toBeUndefined();
  await stage.removeDeleted();
  stage.clock.move(minute);
  await stage.change({ spec: { suspend: false } });
  // The deadline starts at the resumption.
  expect(await sync()).toEqual({ requeueAfter: minute });
  expect(await statusOf()).toMatchObject({ active: 1, succeeded: 1, startTime: iso(start + 170 * second) });
  const states = stage.events.filter((line) => /Suspended|Resumed/.test(line));
  expect(states).toEqual([
    "Normal Suspended Job suspended",
    "Normal Resumed Job resumed",
    "Normal Suspended Job suspended",
    "Normal Resumed Job resumed",
  ]);
});

test("counts a terminating pod as failed and replaces it after the backoff (TerminatingOrFailed)", async () => {
  await stage.make(jobObject());
  await sync();
  const [pod] = await stage.active();
  await stage.run(pod!);
  await stage.client.delete(pods, { namespace: "default", name: pod?.metadata.name ?? "" });
  expect(await sync()).toEqual({ requeueAfter: 10 * second });
  expect(await statusOf()).toMatchObject({ failed: 1, terminating: 1 });
  stage.clock.move(10 * second);
  await sync();
  // The old pod is still terminating.
  expect(await stage.pods()).toHaveLength(2);
  expect(await statusOf()).toMatchObject({ active: 1, terminating: 1 });
});

test("with podReplacementPolicy Failed, replaces a pod only when it has ended", async () => {
  await stage.make(jobObject({ podReplacementPolicy: "Failed" }));
  await sync();
  const [pod] = await stage.active();
  await stage.run(pod!);
  await stage.client.delete(pods, { namespace: "default", name: pod?.metadata.name ?? "" });
  expect(await sync()).toEqual({});
  expect(await statusOf()).toMatchObject({ terminating: 1 });
  expect((await statusOf()).failed).toBeUndefined();
  stage.clock.move(minute);
  await sync();
  expect(await stage.pods()).toHaveLength(1);
  await stage.removeDeleted("Failed");
  await sync();
  expect(await statusOf()).toMatchObject({ failed: 1, terminating: 0 });
});

test("counts a pod once although the status is written late (uncountedTerminatedPods)", async () => {
  await stage.make(jobObject({ completions: 3, parallelism: 3 }));
  await sync();
  const [one, two, three] = await stage.active();
  await stage.finish(one!);
  await stage.finish(two!, 1);
  // An earlier reconcile recorded both, removed the first finalizer and crashed.
  const job = await stage.job();
  const uncountedTerminatedPods = { succeeded: [one?.metadata.uid ?? ""], failed: [two?.metadata.uid ?? ""] };
  await stage.client.update(
    jobs,
    { ...job, status: { ...job.status, uncountedTerminatedPods } },
    { subresource: "status" },
  );
  const free = { metadata: { finalizers: null } };
  await stage.client.patch(pods, { namespace: "default", name: one?.metadata.name ?? "" }, free, { type: "merge" });
  await sync();
  expect(await statusOf()).toMatchObject({ succeeded: 1, failed: 1, uncountedTerminatedPods: {} });
  await stage.finish(three!);
  await sync();
  expect(await statusOf()).toMatchObject({ succeeded: 2, failed: 1 });
});

test("keeps a pod that was recorded as failed in that count (cleanUncountedPodsWithoutFinalizers)", async () => {
  await stage.make(jobObject({ completions: 2, parallelism: 2 }));
  await sync();
  const [one] = await stage.active();
  const job = await stage.job();
  const uncountedTerminatedPods = { failed: [one?.metadata.uid ?? ""] };
  const noted = { ...job, status: { ...job.status, uncountedTerminatedPods } };
  await stage.client.update(jobs, noted, { subresource: "status" });
  await stage.finish(one!);
  await sync();
  expect(await statusOf()).toMatchObject({ failed: 1, uncountedTerminatedPods: {} });
  expect((await statusOf()).succeeded).toBeUndefined();
});

test("records more ends than one status may hold in several writes (MaxUncountedPods)", {
  timeout: 60_000,
}, async () => {
  await stage.make(jobObject({ completions: 620, parallelism: 620 }));
  await sync();
  expect(await stage.active()).toHaveLength(620);
  for (const pod of await stage.active()) await stage.finish(pod);
  expect(await stage.reconcile(jobController, "pi")).toEqual({ requeueAfter: second });
  expect((await statusOf()).succeeded).toBe(500);
  await sync();
  expect(await statusOf()).toMatchObject({ succeeded: 620, uncountedTerminatedPods: {} });
  expect(conditionsOf(await stage.job())).toContain("Complete CompletionsReached");
});

test("leaves a job alone that another controller manages (managedByExternalController)", async () => {
  await stage.make(jobObject({ managedBy: "example.com/other" }));
  const { writes } = stage;
  await sync();
  expect(stage.writes).toBe(writes);
  await stage.make(jobObject({ managedBy: "kubernetes.io/job-controller" }, { name: "own" }));
  await stage.settle(jobController, "own");
  expect(await stage.active()).toHaveLength(1);
});

test("completes a job with 0 completions at once, even suspended", async () => {
  await stage.make(jobObject({ completions: 0, suspend: true }));
  await sync();
  expect(conditionsOf(await stage.job())).toEqual([
    "SuccessCriteriaMet CompletionsReached",
    "Complete CompletionsReached",
  ]);
});

test("adopts matching pods with the finalizer, and releases those that no longer match (ClaimPods)", async () => {
  const labels = { app: "own" };
  const spec = { restartPolicy: "Never", containers: [{ name: "main", image: "busybox" }] };
  const metadata = { name: "lonely", namespace: "default", labels };
  await stage.client.create(pods, { metadata, spec } as never);
  const template = { metadata: { labels }, spec };
  await stage.make(jobObject({ manualSelector: true, selector: { matchLabels: labels }, template, parallelism: 1 }));
  await sync();
  const [pod, ...others] = await stage.pods();
  expect(others).toEqual([]);
  expect(pod?.metadata.ownerReferences).toMatchObject([{ kind: "Job", name: "pi", controller: true }]);
  expect(pod?.metadata.finalizers).toEqual(["batch.kubernetes.io/job-tracking"]);
  await stage.client.patch(
    pods,
    { namespace: "default", name: "lonely" },
    { metadata: { labels: { app: "other" } } },
    { type: "merge" },
  );
  await sync();
  const freed = await stage.client.get(pods, { namespace: "default", name: "lonely" });
  expect(freed.metadata).not.toHaveProperty("finalizers");
  expect(freed.metadata).not.toHaveProperty("ownerReferences");
  expect(await stage.active()).toHaveLength(2);
});

test("removes the finalizer of pods of a deleted job and of released pods (syncOrphanPod)", async () => {
  const gone = async (name = "") =>
    (await ignoreNotFound(stage.client.get(pods, { namespace: "default", name }))) === undefined;
  await stage.make(jobObject({ completions: 2, parallelism: 2 }));
  await sync();
  const [one, two] = await stage.active();
  await stage.client.delete(jobs, { namespace: "default", name: "pi" }, { propagation: "Background" });
  await stage.client.delete(pods, { namespace: "default", name: one?.metadata.name ?? "" });
  expect(await gone(one?.metadata.name)).toBe(false);
  await sync();
  expect(await gone(one?.metadata.name)).toBe(true);
  const name = two?.metadata.name ?? "";
  const patch = { metadata: { ownerReferences: null, finalizers: ["batch.kubernetes.io/job-tracking"] } };
  await stage.client.patch(pods, { namespace: "default", name }, patch, { type: "merge" });
  await stage.settle(jobController, `pod:${name}`);
  expect((await stage.client.get(pods, { namespace: "default", name })).metadata).not.toHaveProperty("finalizers");
});

test("creates no pods for a job that is being deleted, and removes its pods' finalizers (canRemoveFinalizer)", async () => {
  await stage.make(jobObject({ completions: 2, parallelism: 2 }));
  await sync();
  await stage.run((await stage.active())[0]!);
  await stage.client.delete(jobs, { namespace: "default", name: "pi" }, { propagation: "Foreground" });
  await stage.change({ spec: { parallelism: 5 } });
  await sync();
  const all = await stage.pods();
  expect(all).toHaveLength(2);
  expect(all.filter(({ metadata }) => metadata.finalizers)).toEqual([]);
});

test("records pods that cannot be created and retries (slow start)", async () => {
  await stage.client.delete(serviceAccounts, { namespace: "default", name: "default" });
  await stage.make(jobObject({ completions: 8, parallelism: 8 }));
  await expect(stage.reconcile(jobController, "pi")).rejects.toThrow("serviceaccount");
  expect(stage.events).toHaveLength(1);
  expect(stage.events[0]).toMatch(/^Warning FailedCreate Error creating: .*serviceaccount "default" not found/);
  expect(await statusOf()).toMatchObject({ startTime: iso(start), ready: 0 });
});

test("deletes surplus pods once (activePodsForRemoval)", async () => {
  await stage.make(jobObject({ completions: 2, parallelism: 2 }));
  await sync();
  const [one, two] = await stage.active();
  const { uid: _uid, resourceVersion: _revision, name: _name, ...metadata } = one!.metadata;
  const extra = { metadata: { ...metadata, name: "pi-extra" }, spec: one!.spec } as Pod;
  await stage.run(await stage.client.create(pods, extra));
  await stage.finish(one!);
  await stage.finish(two!);
  await sync();
  expect(stage.events.filter((line) => line.includes("SuccessfulDelete"))).toEqual([
    "Normal SuccessfulDelete Deleted pod: pi-extra",
  ]);
  expect(conditionsOf(await stage.job())).toEqual(["SuccessCriteriaMet CompletionsReached"]);
  await stage.removeDeleted();
  await sync();
  expect(await statusOf()).toMatchObject({ succeeded: 2, terminating: 0 });
  expect((await statusOf()).failed).toBeUndefined();
  expect(conditionsOf(await stage.job())).toContain("Complete CompletionsReached");
});

test("warns of more successes than completions (recordJobFinished)", async () => {
  await stage.make(jobObject({ manualSelector: false, completions: 1 }));
  await sync();
  const [pod] = await stage.active();
  const { uid: _uid, resourceVersion: _revision, name: _name, ...metadata } = pod!.metadata;
  const second = await stage.client.create(pods, {
    metadata: { ...metadata, name: "pi-second" },
    spec: pod!.spec,
  } as never);
  await stage.finish(pod!);
  await stage.finish(second as never);
  await sync();
  expect(await statusOf()).toMatchObject({ succeeded: 2 });
  expect(stage.events).toContain(
    "Warning TooManySucceededPods Too many succeeded pods running after completion count reached",
  );
});
