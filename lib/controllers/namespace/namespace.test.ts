import { afterEach, beforeEach, expect, test } from "vitest";
import { configMaps, type Kind, namespaces, type Pod, pods, secrets, serviceAccounts } from "#api";
import { openCluster, type TestCluster } from "#test/cluster";
import { type HandClock, handClock, make } from "#test/make";
import { namespaceController } from "./index.ts";

let cluster: TestCluster;
let clock: HandClock;
beforeEach(async () => {
  clock = handClock(Date.parse("2030-01-01T00:00:00Z"));
  cluster = await openCluster({ clock });
  await cluster.client.create(namespaces, make.namespace({}));
  await cluster.quiet();
});
afterEach(() => cluster.close());

const at = (name: string) => ({ namespace: "team", name });
const exists = async () => (await cluster.ask("GET", "/api/v1/namespaces/team")).status === 200;
async function pass(seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    clock.move(1000);
    await cluster.quiet();
  }
}

test("a namespace waits for finalizers and names them in its conditions", async () => {
  const metadata = { ...at("held"), finalizers: ["example.com/wait"] };
  await cluster.client.create(configMaps, make.configMap({ metadata }));
  await cluster.ask("DELETE", "/api/v1/namespaces/team");
  await pass(5);
  const { status } = await cluster.client.get(namespaces, { name: "team" });
  expect(status?.phase).toBe("Terminating");
  const told = (type: string) => status?.conditions?.find((condition) => condition.type === type);
  expect(told("NamespaceContentRemaining")).toMatchObject({
    status: "True",
    reason: "SomeResourcesRemain",
    message: "Some resources are remaining: configmaps. has 1 resource instances",
  });
  expect(told("NamespaceFinalizersRemaining")).toMatchObject({
    status: "True",
    reason: "SomeFinalizersRemain",
    message: "Some content in the namespace has finalizers remaining: example.com/wait in 1 resource instances",
  });
  expect(told("NamespaceDeletionContentFailure")).toMatchObject({ status: "False", reason: "ContentDeleted" });
  await cluster.client.patch(configMaps, at("held"), { metadata: { finalizers: null } }, { type: "merge" });
  await pass(3);
  expect(await exists()).toBe(false);
});

test("deletes pods before the objects that they use", async () => {
  await cluster.addNode("one");
  await cluster.client.create(configMaps, make.configMap({ metadata: at("used") }));
  await cluster.client.create(pods, make.pod({ metadata: at("web"), spec: { nodeName: "one" } }) as Pod);
  await cluster.ask("DELETE", "/api/v1/namespaces/team");
  await pass(3);
  expect((await cluster.client.get(pods, at("web"))).metadata.deletionTimestamp).toBeDefined();
  expect((await cluster.client.get(configMaps, at("used"))).metadata.deletionTimestamp).toBeUndefined();
  await cluster.playAgents();
  await pass(3);
  expect(await exists()).toBe(false);
  expect((await cluster.client.list(configMaps, { namespace: "team" })).items).toEqual([]);
});

test("waits for writes that were admitted just before the deletion", async () => {
  clock.move(900);
  await cluster.ask("DELETE", "/api/v1/namespaces/team");
  await cluster.quiet();
  clock.move(500);
  await cluster.quiet();
  expect(await exists()).toBe(true);
  await pass(2);
  expect(await exists()).toBe(false);
});

test("continues in the next pass what one pass has no time for, and reports it", async () => {
  const asleep = await openCluster({ clock, asleep: true });
  await asleep.client.create(namespaces, make.namespace({}));
  for (let number = 0; number < 60; number++)
    await asleep.client.create(configMaps, make.configMap({ metadata: at(`one-${number}`) }));
  // Of other kinds too: all kinds of the namespace share one pass.
  for (let number = 0; number < 15; number++) {
    await asleep.client.create(secrets, { metadata: at(`one-${number}`) });
    await asleep.client.create(serviceAccounts, { metadata: at(`one-${number}`) });
  }
  await asleep.ask("DELETE", "/api/v1/namespaces/team");
  const { context } = asleep.plane.onDemand();
  const removals: number[] = [];
  const slow: typeof context.client = {
    ...context.client,
    delete(...words) {
      // Each deletion takes a second.
      clock.move(1000);
      removals.push(removals.pop()! + 1);
      return context.client.delete(...words);
    },
  };
  const left = async () => {
    const lists = [configMaps, secrets, serviceAccounts].map((kind) =>
      asleep.client.list(kind as Kind, { namespace: "team" }),
    );
    return (await Promise.all(lists)).flatMap(({ items }) => items).length;
  };
  const told: (string | undefined)[] = [];
  for (;;) {
    removals.push(0);
    const result = await namespaceController.reconcile({ ...context, client: slow }, { name: "team" });
    if ((await left()) === 0) break;
    const { status } = await asleep.client.get(namespaces, { name: "team" });
    told.push(status?.conditions?.find(({ type }) => type === "NamespaceContentRemaining")?.message);
    expect(result).toEqual({ requeueAfter: 1000 });
  }
  expect(removals.length).toBeGreaterThan(2);
  expect(Math.max(...removals)).toBeLessThan(30);
  expect(told[0]).toMatch(/^Some resources are remaining: configmaps\. has [345]\d resource instances$/);
  await asleep.close();
});
