import { afterEach, beforeEach, expect, test } from "vitest";
import {
  controllerOf,
  controllerReference,
  namespaces,
  type Pod,
  pods,
  type ReplicaSet,
  replicaSets,
  requirementsOf,
  serviceAccounts,
} from "#api";
import type { Client } from "#client";
import { openCluster, type TestCluster } from "#test/cluster";
import { make } from "#test/make";
import { claim } from "./claim.ts";
import { adoptersOf } from "./orphans.ts";

let cluster: TestCluster;
let client: Client;
let owner: ReplicaSet;
beforeEach(async () => {
  cluster = await openCluster({ asleep: true });
  client = cluster.client;
  await client.create(namespaces, { metadata: { name: "default" } });
  await client.create(serviceAccounts, { metadata: { namespace: "default", name: "default" } });
  owner = await setOf("web", "web");
});
afterEach(() => cluster.close());

const setOf = (name: string, app: string): Promise<ReplicaSet> => {
  const labels = { app };
  const template = { metadata: { labels }, spec: { containers: [{ name: "main", image: "i" }] } };
  const spec = { replicas: 0, selector: { matchLabels: labels }, template };
  return client.create(replicaSets, { metadata: { namespace: "default", name }, spec } as never);
};
const podOf = (name: string, app: string, controller?: ReplicaSet, more: object = {}): Promise<Pod> => {
  const ownerReferences = controller ? [controllerReference(replicaSets, controller)] : [];
  return client.create(pods, make.pod({ metadata: { name, labels: { app }, ownerReferences, ...more } } as never));
};
const claimed = async (through = client, finalizer?: string): Promise<(string | undefined)[]> => {
  const selector = requirementsOf(owner.spec?.selector ?? {});
  const request = { client: through, kind: replicaSets, owner, dependents: pods, selector };
  const found = await claim<Pod>({ ...request, ...(finalizer === undefined ? {} : { finalizer }) });
  return found.map(({ metadata }) => metadata.name).sort();
};
const read = (name: string) => client.get(pods, { namespace: "default", name });
const controllerNow = async (name: string) => controllerOf(await read(name))?.uid;

// PodControllerRefManager.ClaimPods (pkg/controller/controller_ref_manager.go, v1.37.2).
test("claims matching pods that the owner controls and adopts matching orphans", async () => {
  const other = await setOf("other", "web");
  await podOf("owned", "web", owner);
  await podOf("orphan", "web");
  await podOf("foreign", "web", other);
  await podOf("unlike", "db");
  expect(await claimed()).toEqual(["orphan", "owned"]);
  expect(await controllerNow("orphan")).toBe(owner.metadata.uid);
  expect(await controllerNow("foreign")).toBe(other.metadata.uid);
  expect(await controllerNow("unlike")).toBeUndefined();
});

test("releases a controlled pod that no longer matches, with the finalizer", async () => {
  await podOf("drifted", "db", owner, { finalizers: ["example.com/track"] });
  await podOf("orphan", "web");
  expect(await claimed(client, "example.com/track")).toEqual(["orphan"]);
  expect(await controllerNow("drifted")).toBeUndefined();
  expect((await read("drifted")).metadata.finalizers).toBeUndefined();
  expect((await read("orphan")).metadata.finalizers).toEqual(["example.com/track"]);
});

test("adopts nothing for an owner that was replaced, and nothing that is being deleted", async () => {
  await podOf("going", "web", undefined, { finalizers: ["example.com/hold"] });
  await client.delete(pods, { namespace: "default", name: "going" });
  expect(await claimed()).toEqual([]);
  await podOf("orphan", "web");
  await client.delete(replicaSets, { namespace: "default", name: "web" });
  await setOf("web", "web");
  expect(await claimed()).toEqual([]);
  expect(await controllerNow("orphan")).toBeUndefined();
});

test("neither adopts nor releases for an owner that is being deleted", async () => {
  await podOf("drifted", "db", owner);
  await podOf("orphan", "web");
  const name = { namespace: "default", name: "web" };
  await client.delete(replicaSets, name, { propagation: "Foreground" });
  owner = await client.get(replicaSets, name);
  expect(await claimed()).toEqual([]);
  expect(await controllerNow("drifted")).toBe(owner.metadata.uid);
  expect(await controllerNow("orphan")).toBeUndefined();
});

test("omits an orphan that is deleted before it is adopted", async () => {
  await podOf("orphan", "web");
  const losing: Client = {
    ...client,
    patch: async (kind, ...rest) => {
      await client.delete(pods, { namespace: "default", name: "orphan" });
      return client.patch(kind, ...rest);
    },
  };
  expect(await claimed(losing)).toEqual([]);
});

test("adoptersOf finds the owners whose selector matches an orphan", async () => {
  await setOf("other", "web");
  await setOf("unlike", "db");
  const orphan = await podOf("orphan", "web");
  const names = async (pod: Pod, isCandidate?: (set: ReplicaSet) => boolean) =>
    (await adoptersOf(client, replicaSets, pod, isCandidate)).map(({ name }) => name).sort();
  expect(await names(orphan)).toEqual(["other", "web"]);
  expect(await names(orphan, ({ metadata }) => metadata.name === "other")).toEqual(["other"]);
  expect(await names(await podOf("owned", "web", owner))).toEqual([]);
});
