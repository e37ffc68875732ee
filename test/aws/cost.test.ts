import { afterAll, beforeAll, expect, test } from "vitest";
import { configMaps, deployments, nodes } from "#api";
import { systemClock } from "#base";
import { type HttpClient, httpClient } from "#client";
import { type Item, measured, sum, times, type Usage } from "#cost";
import { playAgents } from "#test/cluster";
import { builtOnce } from "./built-once.ts";
import { type Metered, openMetered } from "./meter.ts";
import { ann, tokenFor } from "./principals.ts";

/*
 * Measures what `skiff cost` prices: the functions' bundles run, and all their calls are counted. When a figure has
 * changed by more than a quarter, lib/cost/measured.ts must be updated with the printed values.
 */

let metered: Metered;
let client: HttpClient;
const agents = 3;
const roles = "arn:aws:sts::123456789012:assumed-role";

beforeAll(async () => {
  metered = await openMetered(builtOnce());
  const { stage } = metered;
  await stage.deploy();
  client = httpClient({ server: stage.url, ca: stage.ca, token: await tokenFor(ann, stage.clusterId) });
  for (let place = 0; place < agents; place++) await client.create(nodes, node(`i-0000000000000000${place}`));
});
afterAll(async () => {
  client?.close();
  await metered?.stage.stop();
});

const node = (name: string) => ({
  metadata: { name },
  status: {
    allocatable: { cpu: "4", memory: "8Gi", pods: "50" },
    conditions: [{ type: "Ready", status: "True", reason: "KubeletReady", lastHeartbeatTime: "2999-01-01T00:00:00Z" }],
  },
});

const each = (usage: Usage, count: number): Usage => times(usage, 1 / count);

/** Prints the measurement, and checks that it is still the priced one. */
function compare(name: keyof typeof measured, found: Usage): void {
  const rounded = Object.fromEntries(
    Object.entries(found).map(([item, units]) => [item, Number(units.toPrecision(3))]),
  );
  process.stdout.write(`${JSON.stringify({ name, usage: rounded })}\n`);
  // Processor time differs between machines; calls do not.
  const counted: Item[] = ["writeUnits", "readUnits", "lambdaRequests", "fifoRequests", "transitions"];
  for (const item of counted) {
    const [was, is] = [measured[name][item] ?? 0, found[item] ?? 0];
    // A rollout waits twice or not at all, as its controllers meet.
    const slack = item === "transitions" ? 1 : 0.5;
    const differs = Math.abs(is - was) > Math.max(0.25 * was, slack);
    expect(differs, `${name}: ${item} was ${was} and is ${is}: update lib/cost/measured.ts`).toBe(false);
  }
}

test("a tick of the clock, over an hour, with its part of a resync", async () => {
  const { stage, use } = metered;
  const next = Math.ceil(Date.now() / 3_600_000);
  // At noon and midnight there is a resync, whose cost of twelve hours does not belong to this one.
  const hour = next % 12 === 0 ? next + 1 : next;
  await stage.tick();
  const ticks = await use(async () => {
    for (let tick = 0; tick < 60; tick++) await stage.tick(new Date((hour * 60 + tick) * 60_000));
  });
  const resync = await use(() => stage.functions.get("tick")!.call({ resync: true }));
  compare("perTick", sum(each(ticks, 60), each(resync, 12 * 60)));
});

test("a heartbeat", async () => {
  const link = metered.stage.functions.get("link")!;
  const [role] = (metered.stage.nodeRoles ?? "").split(",");
  const arn = `${roles}/${role!.split("/").at(-1)}/i-00000000000000000`;
  const context = (eventType: string) => ({ eventType, connectionId: "one", identity: { userArn: arn } });
  await link.call({ requestContext: context("CONNECT") });
  const beat = { requestContext: context("MESSAGE"), body: '{"action":"heartbeat"}' };
  await link.call(beat);
  const used = await metered.use(async () => {
    for (let place = 0; place < 50; place++) await link.call(beat);
  });
  compare("perHeartbeat", { ...each(used, 50), socketMessages: 1 });
});

test("a read", async () => {
  await client.create(configMaps, { metadata: { namespace: "default", name: "read" }, data: { x: "y".repeat(3000) } });
  const name = { namespace: "default", name: "read" };
  await client.get(configMaps, name);
  const used = await metered.use(async () => {
    for (let place = 0; place < 100; place++) await client.get(configMaps, name);
  });
  compare("perRead", { ...each(used, 100), apiRequests: 1 });
});

test("a write of an object that wakes no controller", async () => {
  const count = 40;
  const used = await metered.use(async () => {
    for (let place = 0; place < count; place++) {
      const metadata = { namespace: "default", name: `plain-${place}` };
      await client.create(configMaps, { metadata, data: { x: "y".repeat(3000) } });
    }
  });
  compare("perWrite", { ...each(used, count), apiRequests: 1 });
});

test("a rollout: a Deployment of two replicas gets another image, with all work of controllers and agents", async () => {
  const api = metered.stage.functions.get("api")!;
  /** Agents process what is bound or deleted by now; they read four times during a rollout. */
  const play = async () => {
    for (let look = 0; look < 4; look++) {
      await new Promise((resolve) => setTimeout(resolve, 1500));
      await playAgents(client, systemClock).catch(() => {});
    }
  };
  const name = { namespace: "default", name: "web" };
  const template = (image: string) => ({
    metadata: { labels: { app: "web" } },
    spec: { containers: [{ name: "web", image }] },
  });
  const spec = { replicas: 2, selector: { matchLabels: { app: "web" } }, template: template("web:0") };
  await client.create(deployments, { metadata: name, spec });
  await play();
  const rounds = 4;
  const requests = api.invocations;
  const used = await metered.use(async () => {
    for (let round = 1; round <= rounds; round++) {
      await client.patch(deployments, name, { spec: { template: template(`web:${round}`) } }, { type: "strategic" });
      await play();
    }
  });
  compare("perRollout", { ...each(used, rounds), apiRequests: (api.invocations - requests) / rounds });
});
