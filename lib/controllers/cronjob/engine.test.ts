import { afterEach, beforeEach, expect, test } from "vitest";
import { cronJobs, jobs, type Lease, leases, type Pod, pods } from "#api";
import { formatTime, ignoreNotFound } from "#base";
import { openCluster, type TestCluster } from "#test/cluster";
import { type HandClock, handClock } from "#test/make";

const start = Date.parse("2026-03-01T12:00:00Z");
const minute = 60_000;

let clock: HandClock;
let cluster: TestCluster;
beforeEach(async () => {
  clock = handClock(start);
  cluster = await openCluster({ clock });
  await cluster.addNode("one");
  // The node has a heartbeat in the far future, whatever the clock shows.
  const spec = { holderIdentity: "one", renewTime: "2027-01-01T00:00:00.000000Z" };
  await cluster.client.create(leases, { metadata: { namespace: "kube-node-lease", name: "one" }, spec } as Lease);
});
afterEach(() => cluster.close());

const namespace = "default";
const base = "/apis/batch/v1/namespaces/default";
const jobSpec = { template: { spec: { restartPolicy: "Never", containers: [{ name: "main", image: "busybox" }] } } };
const jobOf = (name: string, spec: object = {}) => ({
  apiVersion: "batch/v1",
  kind: "Job",
  metadata: { name },
  spec: { ...jobSpec, ...spec },
});

async function finish(pod: Pod, exitCode = 0): Promise<void> {
  const finishedAt = formatTime(clock.now());
  const state = { terminated: { exitCode, finishedAt, startedAt: finishedAt } };
  const containerStatuses = [{ name: "main", ready: false, restartCount: 0, image: "", imageID: "", state }];
  const phase = exitCode === 0 ? "Succeeded" : "Failed";
  await cluster.client.patch(
    pods,
    nameOf(pod),
    { status: { phase, containerStatuses } },
    { type: "merge", subresource: "status" },
  );
}

const nameOf = ({ metadata }: Pod) => ({ namespace: metadata.namespace, name: metadata.name ?? "" });
const podList = async (phase?: string) =>
  (await cluster.client.list(pods)).items.filter(({ status }) => !phase || status?.phase === phase);
const isGone = async <T>(promise: Promise<T>) => (await ignoreNotFound(promise)) === undefined;
const completed = (name: string) =>
  cluster.until(async () => {
    const { status } = await cluster.client.get(jobs, { namespace, name });
    return status?.conditions?.some(({ type, status: value }) => type === "Complete" && value === "True");
  });

/** Acts as the node until there are so many running pods. */
const running = (count: number) =>
  cluster.until(async () => {
    await cluster.playAgents();
    const found = await podList("Running");
    return found.length === count && found;
  });

test("a job passes through all of its controllers, backs off, and is deleted after its TTL", async () => {
  const made = await cluster.ask("POST", `${base}/jobs`, jobOf("pi", { completions: 2, ttlSecondsAfterFinished: 60 }));
  expect(made.status).toBe(201);
  await finish((await running(1))[0]!, 1);
  await cluster.until(async () => (await cluster.client.get(jobs, { namespace, name: "pi" })).status?.failed === 1);
  await cluster.quiet();
  clock.move(10_000 - 1);
  await cluster.quiet();
  expect(await podList()).toHaveLength(1);
  clock.move(1);
  await finish((await running(1))[0]!);
  await finish((await running(1))[0]!);
  await completed("pi");
  await cluster.quiet();
  expect((await podList()).filter(({ metadata }) => metadata.finalizers)).toEqual([]);
  clock.move(minute);
  await cluster.until(async () => {
    await cluster.playAgents();
    return isGone(cluster.client.get(jobs, { namespace, name: "pi" }));
  });
  expect(await podList()).toEqual([]);
});

test("background deletion of a job deletes its running pods", async () => {
  await cluster.ask("POST", `${base}/jobs`, jobOf("pi", { completions: 2, parallelism: 2 }));
  await running(2);
  await cluster.ask("DELETE", `${base}/jobs/pi`, { propagationPolicy: "Background" });
  await cluster.until(async () => {
    await cluster.playAgents();
    return (await podList()).length === 0;
  });
  await cluster.pass(1000);
  expect(await podList()).toEqual([]);
});

test("replacing a job deletes the pods of the old one (kubectl replace --force)", async () => {
  await cluster.ask("POST", `${base}/jobs`, jobOf("pi"));
  const [old] = await running(1);
  const removed = await cluster.ask("DELETE", `${base}/jobs/pi`, { propagationPolicy: "Background" });
  const made = await cluster.ask("POST", `${base}/jobs`, jobOf("pi"));
  expect([removed.status, made.status]).toEqual([200, 201]);
  await cluster.until(async () => {
    await cluster.playAgents();
    const left = await podList("Running");
    return left.length === 1 && left[0]?.metadata.uid !== old?.metadata.uid;
  });
});

test("a job that is deleted without a policy leaves its pods without finalizers (DefaultGarbageCollectionPolicy)", async () => {
  await cluster.ask("POST", `${base}/jobs`, jobOf("pi"));
  await running(1);
  await cluster.ask("DELETE", `${base}/jobs/pi`);
  await cluster.until(() => isGone(cluster.client.get(jobs, { namespace, name: "pi" })));
  const [pod] = await cluster.until(async () => {
    const left = await podList();
    return left.every(({ metadata }) => !metadata.finalizers && !metadata.ownerReferences) && left;
  });
  expect(pod?.metadata.deletionTimestamp).toBeUndefined();
});

test("a namespace is deleted with running jobs and cron jobs", async () => {
  await cluster.ask("POST", "/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name: "team" } });
  await cluster.until(
    async () => (await cluster.ask("GET", "/api/v1/namespaces/team/serviceaccounts/default")).status === 200,
  );
  const inside = "/apis/batch/v1/namespaces/team";
  await cluster.ask("POST", `${inside}/jobs`, jobOf("pi", { completions: 3, parallelism: 3 }));
  const spec = { schedule: "* * * * *", jobTemplate: { spec: jobSpec } };
  await cluster.ask("POST", `${inside}/cronjobs`, {
    apiVersion: "batch/v1",
    kind: "CronJob",
    metadata: { name: "tick" },
    spec,
  });
  await running(3);
  clock.move(minute + 100);
  await running(4);
  await cluster.ask("DELETE", "/api/v1/namespaces/team");
  await cluster.until(async () => {
    await cluster.playAgents();
    clock.move(1000);
    return (await cluster.ask("GET", "/api/v1/namespaces/team")).status === 404;
  });
  expect(await podList()).toEqual([]);
  expect((await cluster.client.list(jobs)).items).toEqual([]);
});

test("a cron job runs by timers alone, and its deletion deletes all of its objects", async () => {
  const spec = { schedule: "*/1 * * * *", jobTemplate: { spec: jobSpec } };
  await cluster.ask("POST", `${base}/cronjobs`, {
    apiVersion: "batch/v1",
    kind: "CronJob",
    metadata: { name: "tick" },
    spec,
  });
  await cluster.quiet();
  for (const round of [1, 2, 3, 4, 5]) {
    clock.move(minute + (round === 1 ? 100 : 0));
    const name = `tick-${start / minute + round}`;
    await finish((await running(1))[0]!);
    await completed(name);
    await cluster.quiet();
  }
  const kept = (await cluster.client.list(jobs)).items.map(({ metadata }) => metadata.name).sort();
  expect(kept).toEqual([3, 4, 5].map((round) => `tick-${start / minute + round}`));
  expect((await cluster.client.get(cronJobs, { namespace, name: "tick" })).status).toEqual({
    lastScheduleTime: "2026-03-01T12:05:00Z",
    lastSuccessfulTime: "2026-03-01T12:05:00Z",
  });
  await cluster.ask("DELETE", `${base}/cronjobs/tick`);
  await cluster.until(async () => {
    await cluster.playAgents();
    return (await podList()).length === 0 && (await cluster.client.list(jobs)).items.length === 0;
  });
});
