import { afterEach, beforeEach, expect, test } from "vitest";
import { type ClusterRole, clusterRoles, type PolicyRule } from "#api";
import { clone } from "#base";
import { openCluster, type TestCluster } from "#test/cluster";

let cluster: TestCluster;
beforeEach(async () => {
  cluster = await openCluster();
});
afterEach(() => cluster.close());

const rule = (resource: string): PolicyRule => ({ verbs: ["get"], apiGroups: ["example.com"], resources: [resource] });
const make = (name: string, more: Partial<ClusterRole>, labels: Record<string, string> = {}) =>
  cluster.client.create(clusterRoles, { metadata: { name, labels }, ...more });
const gathering = (...labels: Record<string, string>[]) => ({
  aggregationRule: { clusterRoleSelectors: labels.map((matchLabels) => ({ matchLabels })) },
});
const resources = async (name: string) =>
  ((await cluster.client.get(clusterRoles, { name })).rules ?? []).flatMap(({ resources }) => resources ?? []);
const becomes = async (name: string, wanted: string[]): Promise<void> => {
  await cluster.pass(1000);
  expect(await resources(name)).toEqual(wanted);
};

test("aggregates rules by selector, sorted by name within a selector, each once, and follows every change", async () => {
  await make("b", { rules: [rule("b"), rule("shared")] }, { part: "one" });
  await make("a", { rules: [rule("a"), rule("shared")] }, { part: "one" });
  await make("c", { rules: [rule("c")] }, { part: "two" });
  await make("all", { ...gathering({ part: "two" }, { part: "one" }), rules: [rule("own")] }, { part: "one" });
  await becomes("all", ["c", "a", "shared", "b"]);
  await make("d", { rules: [rule("d")] }, { part: "two" });
  await becomes("all", ["c", "d", "a", "shared", "b"]);
  const moved = clone(await cluster.client.get(clusterRoles, { name: "c" })) as ClusterRole;
  moved.metadata.labels = {};
  await cluster.client.update(clusterRoles, moved);
  await becomes("all", ["d", "a", "shared", "b"]);
  await cluster.client.delete(clusterRoles, { name: "a" });
  await becomes("all", ["d", "b", "shared"]);
  const edited = clone(await cluster.client.get(clusterRoles, { name: "all" })) as ClusterRole;
  edited.rules = [rule("sneaked in")];
  await cluster.client.update(clusterRoles, edited);
  await becomes("all", ["d", "b", "shared"]);
});

test("aggregates aggregated rules", async () => {
  await make("leaf", { rules: [rule("leaf")] }, { "rbac.authorization.k8s.io/aggregate-to-view": "true" });
  for (const name of ["view", "edit", "admin"]) {
    await cluster.until(async () => (await resources(name)).includes("leaf"));
  }
  await cluster.quiet();
  expect(await resources("view")).not.toContain("secrets");
  expect(await resources("edit")).toContain("secrets");
  expect(await resources("edit")).not.toContain("rolebindings");
  expect(await resources("admin")).toContain("rolebindings");
});

test("removes the rules of a role whose selectors match nothing, and leaves other roles alone", async () => {
  await make("empty", { ...gathering({ none: "such" }), rules: [rule("x")] });
  await make("plain", { rules: [rule("x")] });
  await becomes("empty", []);
  expect(await resources("plain")).toEqual(["x"]);
});
