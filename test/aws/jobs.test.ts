import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parse } from "yaml";
import { type CronJob, cronJobs, type Job, jobs, nodes, type Pod, pods } from "#api";
import { systemClock } from "#base";
import { type HttpClient, httpClient } from "#client";
import { playAgents } from "#test/cluster";
import { builtOnce } from "./built-once.ts";
import { ann, tokenFor, whoIs } from "./principals.ts";
import { openStage, type Stage } from "./stage.ts";

/*
 * Work that waits, through the bundles: a wait is an execution of the template's state machine.
 */

let stage: Stage;
let client: HttpClient;
let isOver = false;
let playing: Promise<void>;
/** Pods of jobs that are still to fail, by job. */
const failures = new Map([["flaky", 1]]);

const manifest = <T>(name: string): T => {
  const { apiVersion: _version, kind: _kind, ...rest } = parse(readFileSync(`test/manifests/${name}.yaml`, "utf8"));
  return { ...rest, metadata: { namespace: "default", ...rest.metadata } } as T;
};

/** Agents: pods run as soon as they are bound, and end a moment later. */
async function play(): Promise<void> {
  while (!isOver) {
    await playAgents(client, systemClock).catch(() => {});
    const { items } = await client.list(pods, { namespace: "default" }).catch(() => ({ items: [] as Pod[] }));
    for (const pod of items.filter(({ status }) => status?.phase === "Running")) {
      const owner = pod.metadata.ownerReferences?.[0]?.name ?? "";
      const left = failures.get(owner) ?? 0;
      if (left > 0) failures.set(owner, left - 1);
      const status = { ...pod.status, phase: left > 0 ? "Failed" : "Succeeded" };
      await client.update(pods, { ...pod, status }, { subresource: "status" }).catch(() => {});
    }
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

beforeAll(async () => {
  stage = await openStage({ built: builtOnce(), whoIs });
  await stage.deploy();
  client = httpClient({ server: stage.url, ca: stage.ca, token: await tokenFor(ann, stage.clusterId) });
  await client.create(nodes, {
    metadata: { name: "one" },
    status: {
      allocatable: { cpu: "4", memory: "8Gi", pods: "50" },
      conditions: [
        { type: "Ready", status: "True", reason: "KubeletReady", lastHeartbeatTime: "2999-01-01T00:00:00Z" },
      ],
    },
  });
  playing = play();
});
afterAll(async () => {
  isOver = true;
  await playing;
  client?.close();
  await stage?.stop();
});

const condition = async (name: string, type: string) => {
  const { status } = await client.get(jobs, { namespace: "default", name });
  return status?.conditions?.find((each) => each.type === type)?.status;
};

test("the course's Job is done", async () => {
  const job = await client.create(jobs, manifest<Job>("job"));
  await expect.poll(() => condition(job.metadata.name!, "Complete"), { timeout: 60_000 }).toBe("True");
});

test("a Job whose pod fails gets another one after its back-off, by a wait of Step Functions", async () => {
  const before = stage.transitions;
  await client.create(jobs, {
    metadata: { namespace: "default", name: "flaky" },
    spec: {
      backoffLimit: 3,
      template: { spec: { restartPolicy: "Never", containers: [{ name: "flaky", image: "flaky:1" }] } },
    },
  });
  await expect.poll(() => condition("flaky", "Complete"), { timeout: 60_000 }).toBe("True");
  const { status } = await client.get(jobs, { namespace: "default", name: "flaky" });
  expect(status).toMatchObject({ failed: 1, succeeded: 1 });
  expect(stage.transitions).toBeGreaterThan(before);
  const own = (await client.list(pods, { namespace: "default" })).items.filter(
    ({ metadata }) => metadata.ownerReferences?.[0]?.name === "flaky",
  );
  const [first, second] = own.map(({ metadata }) => Date.parse(metadata.creationTimestamp!)).sort();
  expect(second! - first!).toBeGreaterThanOrEqual(10_000);
});

test("the course's CronJob runs at its minute", async () => {
  const cron = manifest<CronJob>("cronjob");
  cron.spec!.schedule = "* * * * *";
  await client.create(cronJobs, cron);
  const { name } = cron.metadata;
  await expect
    .poll(async () => (await client.get(cronJobs, { namespace: "default", name: name! })).status?.lastScheduleTime, {
      timeout: 80_000,
      interval: 1000,
    })
    .toMatch(/:00Z$/);
  const made = (await client.list(jobs, { namespace: "default" })).items.filter(
    ({ metadata }) => metadata.ownerReferences?.[0]?.name === name,
  );
  expect(made.length).toBeGreaterThan(0);
}, 120_000);
