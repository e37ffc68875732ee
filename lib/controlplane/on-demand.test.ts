import { expect, test } from "vitest";
import { type Deployment, deployments, leases, nodes, pods } from "#api";
import { type Clock, silentLog, systemClock, systemRandom } from "#base";
import { ControlPlane } from "#controlplane";
import type { Change } from "#store";
import { memoryStore } from "#store/memory";
import { handClock } from "#test/make";

function open(
  clock: Clock = systemClock,
  heard: (node: string) => Promise<number | undefined> = async () => undefined,
) {
  const store = memoryStore();
  const plane = new ControlPlane({
    store,
    clock,
    random: systemRandom,
    log: silentLog,
    serviceCidr: "10.96.0.0/16",
    ca: "ca",
    caching: "on-demand",
    nodes: { lastHeartbeat: heard, grace: 100_000 },
  });
  return { plane, store };
}

const web: Deployment = {
  metadata: { namespace: "default", name: "web" },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: "web" } },
    template: {
      metadata: { labels: { app: "web" } },
      spec: { containers: [{ name: "web", image: "web:1" }] },
    },
  },
};
const node = (name: string) => ({
  metadata: { name },
  status: {
    allocatable: { cpu: "4", memory: "8Gi", pods: "10" },
    conditions: [{ type: "Ready", status: "True", reason: "KubeletReady" }],
  },
});

/** Plays the router and the queue: every change becomes work, every piece of work a reconcile, until none is left. */
async function run(plane: ControlPlane, store: ReturnType<typeof memoryStore>): Promise<void> {
  const demand = plane.onDemand();
  const seen = new Map<string, number>();
  for (;;) {
    const changes: [string, Change][] = [];
    for (const type of plane.resources.registry.types) {
      const read = await store.changes(type, seen.get(type) ?? 1);
      seen.set(type, read.through);
      changes.push(...read.changes.map((change): [string, Change] => [type, change]));
    }
    if (changes.length === 0) return;
    for (const [type, change] of changes) {
      for (const { controller, key } of await demand.route(type, change)) {
        await demand.controllers.find(({ name }) => name === controller)!.reconcile(demand.context, key);
      }
    }
    await demand.settled();
  }
}

test("changes become keys, keys become pods, pods get nodes, with nothing running in between", async () => {
  const { plane, store } = open();
  await plane.bootstrap();
  await plane.client.create(nodes, node("one"));
  await plane.client.create(deployments, web);
  await run(plane, store);
  expect((await plane.client.list(pods)).items.map(({ spec }) => spec?.nodeName)).toEqual([undefined, undefined]);
  let asked = 0;
  await plane.onDemand().schedule(async () => void asked++);
  expect((await plane.client.list(pods)).items.map(({ spec }) => spec?.nodeName)).toEqual(["one", "one"]);
  expect(asked).toBe(1);
});

test("binds nothing with a scheduler that has lost its fence, and rejects", async () => {
  const { plane, store } = open();
  await plane.bootstrap();
  await plane.client.create(nodes, node("one"));
  await plane.client.create(deployments, web);
  await run(plane, store);
  await expect(plane.onDemand().schedule(() => Promise.reject(new Error("superseded")))).rejects.toThrow("2 pods");
  expect((await plane.client.list(pods)).items.map(({ spec }) => spec?.nodeName)).toEqual([undefined, undefined]);
});

test("leaves keys that need a read to the stream, and derives the others at once", async () => {
  const { plane, store } = open();
  await plane.bootstrap();
  await plane.client.create(deployments, web);
  await run(plane, store);
  const { changes } = await store.changes("core/pods", 1);
  const demand = plane.onDemand();
  const names = async (how?: "quick") =>
    [...new Set((await demand.route("core/pods", changes[0]!, how)).map(({ controller }) => controller))].sort();
  expect(await names("quick")).toEqual(["replicaset"]);
  expect(await names()).toContain("garbage-collector");
});

test("a resync wakes every key that what is there makes work of, those of others' objects too", async () => {
  const { plane, store } = open();
  await plane.bootstrap();
  await plane.client.create(deployments, web);
  await run(plane, store);
  const keys = (await plane.onDemand().everything()).map(({ controller, key }) => `${controller} ${key.name}`);
  expect(keys).toContain("deployment web");
  expect(keys.filter((key) => key.startsWith("garbage-collector") && key.includes(":web-"))).not.toEqual([]);
  expect(new Set(keys).size).toBeGreaterThan(5);
});

test("checks nodes once a minute by their heartbeats, without other wake-ups", async () => {
  let heard: number | undefined;
  const clock = handClock(Date.parse("2030-01-01T00:00:00Z"));
  const { plane } = open(clock, async () => heard);
  await plane.bootstrap();
  await plane.client.create(nodes, node("one"));
  const demand = plane.onDemand();
  const health = demand.controllers.find(({ name }) => name === "node-lifecycle")!;
  const ready = async () => {
    const { status } = await plane.client.get(nodes, { name: "one" });
    return status?.conditions?.find(({ type }) => type === "Ready")?.status;
  };
  expect(await health.reconcile(demand.context, { name: "one" })).toBeUndefined();
  for (let minute = 0; minute < 5; minute++) {
    clock.move(60_000);
    heard = clock.now() - 30_000;
    await demand.everyMinute();
  }
  expect(await ready()).toBe("True");
  clock.move(100_000);
  await demand.everyMinute();
  expect(await ready()).toBe("Unknown");
  expect((await plane.client.list(leases)).items).toEqual([]);
});
