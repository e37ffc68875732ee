import { readFileSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  type ClusterRole,
  type ClusterRoleBinding,
  clusterRoleBindings,
  clusterRoles,
  type KubernetesObject,
  namespaces,
  roleBindings,
  roles,
} from "#api";
import { clone } from "#base";
import { memoryStore } from "#store/memory";
import { openCluster, type TestCluster } from "#test/cluster";
import { ensurePolicy } from "./ensure.ts";
import { autoUpdate } from "./notation.ts";
import { bootstrapPolicy } from "./policy.ts";

/** The objects of upstream's bootstrappolicy with the feature gates of v1.36. */
const upstream = JSON.parse(readFileSync("test/golden/bootstrap-policy.json", "utf8")) as Record<
  keyof ReturnType<typeof bootstrapPolicy>,
  KubernetesObject[]
>;

const byName = (objects: readonly KubernetesObject[]) =>
  Object.fromEntries(objects.map((object) => [`${object.metadata.namespace ?? ""}/${object.metadata.name}`, object]));
/** Roles of components that are no processes of their own here, and of a removed one. */
const left = /^kube-(?:system|public)\/system:(?:controller:|:leader-locking)|^\/system:heapster$/;
const wanted = (objects: readonly KubernetesObject[]) =>
  Object.fromEntries(Object.entries(byName(objects)).filter(([name]) => !left.test(name)));

test("creates upstream's policy", () => {
  const own = bootstrapPolicy();
  // metrics-server v0.8.0 (manifests/base/rbac.yaml) adds one role, which edit and admin gather with view's.
  const added = own.clusterRoles.findIndex(({ metadata }) => metadata.name === "system:aggregated-metrics-reader");
  expect(own.clusterRoles.splice(added, 1)[0]?.rules).toEqual([
    { apiGroups: ["metrics.k8s.io"], resources: ["nodes", "pods"], verbs: ["get", "list", "watch"] },
  ]);
  for (const member of ["clusterRoles", "clusterRoleBindings", "roles", "roleBindings"] as const) {
    expect(byName(own[member]), member).toEqual(wanted(upstream[member]));
  }
  expect(own.clusterRoles.length).toBeGreaterThan(25);
});

let store: ReturnType<typeof memoryStore>;
let cluster: TestCluster;
beforeEach(async () => {
  store = memoryStore();
  cluster = await openCluster({ store, asleep: true });
  await cluster.client.create(namespaces, { metadata: { name: "kube-system" } });
  await ensurePolicy(cluster.client);
});
afterEach(() => cluster.close());

const types = [clusterRoles, clusterRoleBindings, roles, roleBindings].map(({ group, plural }) => `${group}/${plural}`);
const heads = () => Promise.all(types.map((type) => store.head(type)));

test("writes nothing in a second pass", async () => {
  const before = await heads();
  expect(Math.min(...before)).toBeGreaterThan(1);
  await ensurePolicy(cluster.client);
  expect(await heads()).toEqual(before);
});

test("restores what is missing and keeps additions", async () => {
  const { client } = cluster;
  const view = clone(await client.get(clusterRoles, { name: "system:aggregate-to-view" })) as ClusterRole;
  const whole = view.rules!;
  const own = { verbs: ["get"], apiGroups: ["example.com"], resources: ["things"] };
  view.rules = [...whole.slice(1), own];
  view.metadata.labels = { mine: "yes" };
  await client.update(clusterRoles, view);
  const binding = clone(await client.get(clusterRoleBindings, { name: "system:discovery" })) as ClusterRoleBinding;
  binding.subjects = [{ kind: "User", apiGroup: "rbac.authorization.k8s.io", name: "jane" }];
  await client.update(clusterRoleBindings, binding);
  await client.delete(clusterRoles, { name: "edit" });
  await ensurePolicy(client);
  const after = await client.get(clusterRoles, { name: "system:aggregate-to-view" });
  expect(after.rules).toContainEqual(own);
  const allowed = after.rules!.flatMap(({ resources = [], verbs }) =>
    resources.flatMap((r) => verbs.map((v) => `${v} ${r}`)),
  );
  for (const resource of whole[0]!.resources!) expect(allowed).toContain(`watch ${resource}`);
  expect(after.metadata.labels).toEqual({
    mine: "yes",
    "kubernetes.io/bootstrapping": "rbac-defaults",
    "rbac.authorization.k8s.io/aggregate-to-view": "true",
  });
  const { subjects } = await client.get(clusterRoleBindings, { name: "system:discovery" });
  expect(subjects?.map(({ name }) => name)).toEqual(["jane", "system:authenticated"]);
  expect((await client.get(clusterRoles, { name: "edit" })).aggregationRule).toBeDefined();
});

test("leaves protected objects unchanged", async () => {
  const { client } = cluster;
  const there = clone(await client.get(clusterRoles, { name: "system:basic-user" })) as ClusterRole;
  there.metadata.annotations = { [autoUpdate]: "false" };
  there.rules = [];
  const kept = await client.update(clusterRoles, there);
  await ensurePolicy(client);
  expect((await client.get(clusterRoles, { name: "system:basic-user" })).metadata).toMatchObject({
    resourceVersion: kept.metadata.resourceVersion,
  });
});

test("recreates a binding to another role", async () => {
  const { client } = cluster;
  const name = "system:kube-dns";
  const there = await client.get(clusterRoleBindings, { name });
  await client.delete(clusterRoleBindings, { name });
  const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "cluster-admin" };
  await client.create(clusterRoleBindings, { metadata: { name }, roleRef });
  await ensurePolicy(client);
  expect((await client.get(clusterRoleBindings, { name })).roleRef).toEqual(there.roleRef);
});

test("allows several concurrent passes", async () => {
  const { client } = cluster;
  for (const { metadata } of (await client.list(clusterRoles)).items) {
    await client.delete(clusterRoles, { name: metadata.name! });
  }
  await Promise.all([ensurePolicy(client), ensurePolicy(client), ensurePolicy(client)]);
  expect((await client.list(clusterRoles)).items).toHaveLength(bootstrapPolicy().clusterRoles.length);
});
