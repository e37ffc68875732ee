import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { catalog, configMaps, deployments, namespaces, pods, replicaSets } from "#api";
import { ignoreNotFound, silentLog, systemRandom } from "#base";
import type { ControllerContext } from "#reconcile";
import { memoryStore } from "#store/memory";
import { openCluster, type TestCluster } from "#test/cluster";
import { handClock, served } from "#test/make";
import { garbageCollectorController } from "./index.ts";

let cluster: TestCluster;
beforeEach(async () => {
  cluster = await openCluster();
  await cluster.addNode("one");
});
afterEach(() => cluster.close());

const path = "/apis/apps/v1/namespaces/default/deployments";
const namespace = "default";
const web = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web" },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: "web" } },
    template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "web", image: "web" }] } },
  },
};

async function runWeb(): Promise<void> {
  await cluster.ask("POST", path, web);
  await cluster.until(async () => {
    await cluster.playAgents();
    const { items } = await cluster.client.list(pods, { namespace });
    return items.length === 2 && items.every(({ status }) => status?.phase === "Running");
  });
}

const gone = async <T>(promise: Promise<T>): Promise<boolean> => (await ignoreNotFound(promise)) === undefined;

test("foreground deletion waits for the dependents", async () => {
  await runWeb();
  const answer = await cluster.ask("DELETE", `${path}/web`, { propagationPolicy: "Foreground" });
  expect(answer.status).toBe(200);
  expect(answer.json.metadata.finalizers).toEqual(["foregroundDeletion"]);
  await cluster.until(async () =>
    (await cluster.client.list(pods)).items.every(({ metadata }) => metadata.deletionTimestamp),
  );
  // The agents have not removed the pods: the owners still wait.
  expect((await cluster.client.get(deployments, { namespace, name: "web" })).metadata.deletionTimestamp).toBeDefined();
  expect((await cluster.client.list(replicaSets)).items).toHaveLength(1);
  await cluster.until(async () => {
    await cluster.playAgents();
    return gone(cluster.client.get(deployments, { namespace, name: "web" }));
  });
  expect((await cluster.client.list(replicaSets)).items).toEqual([]);
});

test("orphaning deletion leaves the dependents without an owner", async () => {
  await runWeb();
  await cluster.ask("DELETE", `${path}/web`, { propagationPolicy: "Orphan" });
  await cluster.until(() => gone(cluster.client.get(deployments, { namespace, name: "web" })));
  const sets = (await cluster.client.list(replicaSets)).items;
  expect(sets.map(({ metadata }) => [metadata.ownerReferences, metadata.deletionTimestamp])).toEqual([
    [undefined, undefined],
  ]);
  expect((await cluster.client.list(pods)).items).toHaveLength(2);
  // A deployment that is created again adopts the matching set.
  await cluster.ask("POST", path, web);
  await cluster.until(
    async () => (await cluster.client.list(replicaSets)).items[0]?.metadata.ownerReferences?.[0]?.kind === "Deployment",
  );
  expect((await cluster.client.list(replicaSets)).items).toHaveLength(1);
});

const owned = (name: string, ...owners: object[]) =>
  ({ metadata: { name, namespace, ownerReferences: owners } }) as never;
const reference = (uid: string, name: string) => ({ apiVersion: "v1", kind: "ConfigMap", name, uid });

test("deletes an object without a remaining owner; otherwise removes references to owners that are gone", async () => {
  const alive = await cluster.client.create(configMaps, { metadata: { name: "alive", namespace } });
  await cluster.client.create(configMaps, owned("lost", reference("absent", "absent")));
  await cluster.client.create(
    configMaps,
    owned("half", reference("absent", "absent"), reference(alive.metadata.uid!, "alive")),
  );
  await cluster.until(() => gone(cluster.client.get(configMaps, { namespace, name: "lost" })));
  const half = await cluster.until(async () => {
    const found = await cluster.client.get(configMaps, { namespace, name: "half" });
    return found.metadata.ownerReferences?.length === 1 && found;
  });
  expect(half.metadata.ownerReferences?.[0]?.uid).toBe(alive.metadata.uid);
  await cluster.client.delete(configMaps, { namespace, name: "alive" });
  await cluster.until(() => gone(cluster.client.get(configMaps, { namespace, name: "half" })));
});

test("an object of the same name with another uid is not the owner", async () => {
  await cluster.client.create(configMaps, { metadata: { name: "again", namespace } });
  await cluster.client.create(configMaps, owned("stale", reference("an-older-uid", "again")));
  await cluster.until(() => gone(cluster.client.get(configMaps, { namespace, name: "stale" })));
  await cluster.pass(10_000);
  expect(await gone(cluster.client.get(configMaps, { namespace, name: "again" }))).toBe(false);
});

test("does not delete because of an owner of a kind that is not served", async () => {
  const foreign = { apiVersion: "example.com/v1", kind: "Thing", name: "t", uid: "u" };
  await cluster.client.create(configMaps, owned("foreign", foreign));
  await cluster.client.create(configMaps, owned("marker", reference("absent", "absent")));
  await cluster.until(() => gone(cluster.client.get(configMaps, { namespace, name: "marker" })));
  await cluster.pass(10_000);
  expect(await gone(cluster.client.get(configMaps, { namespace, name: "foreign" }))).toBe(false);
});

test("owners in a cycle do not block each other's deletion", async () => {
  const names = ["a", "b", "c"];
  const made = await Promise.all(
    names.map((name) => cluster.client.create(configMaps, { metadata: { namespace, name } })),
  );
  for (const [index, name] of names.entries()) {
    const { metadata } = made[(index + 2) % 3]!;
    const { name: above = "", uid = "" } = metadata;
    const owner = { apiVersion: "v1", kind: "ConfigMap", name: above, uid, blockOwnerDeletion: true };
    const patch = { metadata: { ownerReferences: [owner] } };
    await cluster.client.patch(configMaps, { namespace, name }, patch, { type: "merge" });
  }
  await cluster.client.delete(configMaps, { namespace, name: "a" }, { propagation: "Foreground" });
  await cluster.pass(10_000);
  const { items } = await cluster.client.list(configMaps, { namespace });
  expect(items.map(({ metadata }) => metadata.name)).toEqual(["kube-root-ca.crt"]);
});

test("completes an orphaning deletion after a restart", async () => {
  const store = memoryStore();
  await (await openCluster({ store })).close();
  const { client, close } = await openCluster({ store, asleep: true });
  await client.create(configMaps, { metadata: { namespace, name: "owner", finalizers: ["orphan"] } });
  const owner = await client.get(configMaps, { namespace, name: "owner" });
  const { name = "", uid = "" } = owner.metadata;
  const ownerReferences = [{ apiVersion: "v1", kind: "ConfigMap", name, uid }];
  await client.create(configMaps, { metadata: { namespace, name: "child", ownerReferences } });
  await client.delete(configMaps, { namespace, name }, { propagation: "Orphan" });
  await close();
  const next = await openCluster({ store });
  try {
    await next.until(() => gone(next.client.get(configMaps, { namespace, name })));
    const child = await next.client.get(configMaps, { namespace, name: "child" });
    expect(child.metadata.ownerReferences).toBeUndefined();
  } finally {
    await next.close();
  }
});

test("retries an object that changes between its read and its deletion", async () => {
  const asleep = await openCluster({ asleep: true });
  const { client } = asleep;
  await client.create(namespaces, { metadata: { name: namespace } });
  await client.create(configMaps, owned("busy", reference("gone", "gone")));
  let raced = false;
  // A status is written in between, once: its event triggers no key of the collector.
  const racing: TestCluster["client"] = {
    ...client,
    async get(kind, name) {
      const found = await client.get(kind, name);
      if (name.name !== "busy" || raced) return found;
      raced = true;
      await client.patch(configMaps, { namespace, name: "busy" }, { data: { a: "b" } }, { type: "merge" });
      return found;
    },
  };
  const signal = new AbortController().signal;
  const quiet = { log: silentLog, record: () => {}, signal };
  const context: ControllerContext = {
    client: racing,
    served: served(),
    clock: asleep.clock,
    random: systemRandom,
    ...quiet,
  };
  const key = { namespace, name: "v1/ConfigMap:busy" };
  await expect(garbageCollectorController.reconcile(context, key)).rejects.toMatchObject({ reason: "Conflict" });
  await garbageCollectorController.reconcile(context, key);
  expect(await gone(client.get(configMaps, { namespace, name: "busy" }))).toBe(true);
  await asleep.close();
});

describe("keys are valid across versions of the program", () => {
  const signal = new AbortController().signal;
  const contextOf = (client: TestCluster["client"], kinds = catalog): ControllerContext => ({
    client,
    served: served(kinds),
    clock: handClock(),
    random: systemRandom,
    log: silentLog,
    record: () => {},
    signal,
  });

  test("a key does not depend on the order of kinds", async () => {
    const asleep = await openCluster({ asleep: true });
    const context = contextOf(asleep.client);
    await asleep.client.create(namespaces, { metadata: { name: namespace } });
    const lost = await asleep.client.create(configMaps, owned("lost", reference("gone", "gone")));
    const later = contextOf(asleep.client, [...catalog].reverse());
    const { watchesKinds, reconcile } = garbageCollectorController;
    const keys = [...(await watchesKinds!.keys(configMaps, { type: "ADDED", object: lost }, context))];
    expect(keys).toEqual([{ namespace, name: "v1/ConfigMap:lost" }]);
    for (const key of keys) await reconcile(later, key);
    expect(await gone(asleep.client.get(configMaps, { namespace, name: "lost" }))).toBe(true);
    await asleep.close();
  });

  test("retries a key of an unknown kind", async () => {
    const reconciled = garbageCollectorController.reconcile(contextOf(cluster.client), {
      namespace,
      name: "example.com/v1/Thing:one",
    });
    await expect(reconciled).rejects.toThrow("example.com/v1/Thing:one is not known to this version");
  });
});
