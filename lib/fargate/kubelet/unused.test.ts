import { afterEach, beforeEach, expect, test } from "vitest";
import { configMaps, type Pod, pods, serviceAccounts } from "#api";
import { openCluster, type TestCluster } from "#test/cluster";
import { handClock } from "#test/make";
import { planOf } from "./definition.ts";
import { registerFargateNode } from "./node.ts";
import type { Tasks } from "./tasks.ts";
import { unusedDefinitions } from "./unused.ts";

const namespace = "default";
const clock = handClock(Date.parse("2030-01-05T00:00:00Z"));
const day = 24 * 3_600_000;
const settings = { cluster: "demo", region: "eu-west-1", logGroup: "g", executionRole: "arn:aws:iam::1:role/a" };
const family = (letter: string, cluster = "demo"): string => `skiff-${cluster}-${letter.repeat(40)}`;

let cluster: TestCluster;
/** Active families, by when they were registered. */
let there: Map<string, number>;
let asked: string[];

beforeEach(async () => {
  cluster = await openCluster({ clock, asleep: true });
  await cluster.plane.bootstrap();
  await cluster.client.create(serviceAccounts, { metadata: { name: "default", namespace } });
  await registerFargateNode(cluster.client, clock.now());
  there = new Map();
  asked = [];
});
afterEach(() => cluster.close());

const tidy = (): Promise<unknown> => {
  const tasks = {
    families: async (prefix: string) => [...there.keys()].filter((name) => name.startsWith(prefix)),
    async retire(name: string, after: number) {
      asked.push(name);
      return (there.get(name) ?? 0) <= after && there.delete(name);
    },
  } as Tasks;
  const { context } = cluster.plane.onDemand();
  return unusedDefinitions({ context, tasks, settings }).reconcile(context, { name: "unused" });
};
const make = (name: string, container: object = {}, nodeName = "fargate"): Promise<Pod> =>
  cluster.client.create(pods, {
    metadata: { name, namespace },
    spec: { nodeName, containers: [{ name: "main", image: name, ...container }] },
  } as Pod);
const over = (pod: Pod): Promise<Pod> =>
  cluster.client.update(pods, { ...pod, status: { phase: "Succeeded" } }, { subresource: "status" });
const familyOf = (pod: Pod): string => planOf(pod, new Map(), settings).definition.family;

test("keeps definitions of active pods, and removes those of ended and deleted pods", async () => {
  const [runs, done] = [await make("runs"), await over(await make("done"))];
  for (const name of [familyOf(runs), familyOf(done), family("a")]) there.set(name, 0);
  await tidy();
  expect([...there.keys()]).toEqual([familyOf(runs)]);
});

test("keeps definitions that are at most a day old: their pods may not have started", async () => {
  there.set(family("a"), clock.now() - day + 1).set(family("b"), clock.now() - day);
  await tidy();
  expect([...there.keys()]).toEqual([family("a")]);
});

test("leaves other clusters' definitions alone, whatever their names", async () => {
  const others = [family("a", "demo-2"), family("b", "other"), "skiff-demo-tools", "skiff-demo-"];
  for (const name of others) there.set(name, 0);
  await tidy();
  expect(asked).toEqual([]);
  expect([...there.keys()]).toEqual(others);
});

test("a pod whose ConfigMap does not exist keeps no other definition, and has its own when it exists", async () => {
  const env = [{ name: "A", valueFrom: { configMapKeyRef: { name: "told", key: "a" } } }];
  const pod = await make("waits", { env });
  const map = { metadata: { name: "told", namespace }, data: { a: "1" } };
  const later = planOf(pod, new Map([["told", map]]), settings).definition.family;
  there.set(family("a"), 0);
  await tidy();
  expect(there.size).toBe(0);
  await cluster.client.create(configMaps, map);
  there.set(later, 0);
  await tidy();
  expect([...there.keys()]).toEqual([later]);
});

test("a part each time", async () => {
  for (let one = 0; one < 30; one++) there.set(`skiff-demo-${String(one).padStart(40, "0")}`, 0);
  await tidy();
  expect(there.size).toBe(5);
  await tidy();
  expect(there.size).toBe(0);
});
