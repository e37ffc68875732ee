import { afterAll, beforeAll, expect, test } from "vitest";
import { openCluster, type TestCluster } from "#test/cluster";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await openCluster();
  const group = "rbac.authorization.k8s.io";
  const rules = [
    { apiGroups: ["skiff.dev"], resources: ["accessentries"], verbs: ["*"] },
    { apiGroups: [""], resources: ["users"], verbs: ["impersonate"], resourceNames: ["ann", arn("ann")] },
    { apiGroups: [""], resources: ["groups"], verbs: ["impersonate"], resourceNames: ["developers"] },
  ];
  const apis = `/apis/${group}/v1`;
  await cluster.ask("POST", `${apis}/clusterroles`, { metadata: { name: "doorkeeper" }, rules });
  await cluster.ask("POST", `${apis}/clusterrolebindings`, {
    metadata: { name: "doorkeeper" },
    roleRef: { apiGroup: group, kind: "ClusterRole", name: "doorkeeper" },
    subjects: [{ apiGroup: group, kind: "User", name: "keeper" }],
  });
});
afterAll(() => cluster.close());

const arn = (name: string) => `arn:aws:iam::123456789012:user/${name}`;
const path = "/apis/skiff.dev/v1/accessentries";
const headers = { "impersonate-user": "keeper" };
const entry = (name: string, spec: object) => ({ metadata: { name }, spec: { principalArn: arn("ann"), ...spec } });

test.each([
  ["a user", { username: "ann" }, undefined],
  ["the principal under its own name", {}, undefined],
  ["a group", { username: "ann", groups: ["developers"] }, undefined],
  ["another user", { username: "root" }, 'user "keeper" cannot impersonate users "root"'],
  ["another principal", { principalArn: arn("bob") }, `user "keeper" cannot impersonate users "${arn("bob")}"`],
  ["another group", { username: "ann", groups: ["developers", "ops"] }, 'cannot impersonate groups "ops"'],
  ["system:masters", { username: "ann", groups: ["system:masters"] }, "only a member of system:masters"],
])("a writer without full rights hands out %s only where it may impersonate", async (name, spec, refusal) => {
  const object = entry(name.replaceAll(/[^a-z]/g, "-"), spec);
  const answer = await cluster.ask("POST", path, object, headers);
  expect([answer.status, answer.json.message ?? ""]).toEqual([
    refusal === undefined ? 201 : 403,
    refusal === undefined ? "" : expect.stringContaining(refusal),
  ]);
});

test("a change of an entry is guarded like a new one; one that leaves the spec alone is not", async () => {
  await cluster.ask("POST", path, entry("bob", { username: "bob", groups: ["ops"] }));
  const merge = { ...headers, "content-type": "application/merge-patch+json" };
  const patch = (body: object) => cluster.ask("PATCH", `${path}/bob`, body, merge);
  expect((await patch({ metadata: { labels: { team: "a" } } })).status).toBe(200);
  expect((await patch({ spec: { groups: ["ops", "developers"] } })).status).toBe(403);
});

test("the ARN of another principal is no user name", async () => {
  const answer = await cluster.ask("POST", path, entry("posing", { username: arn("bob") }));
  expect(answer.json).toMatchObject({
    code: 422,
    details: { causes: [{ field: "spec.username", reason: "FieldValueInvalid" }] },
  });
  expect((await cluster.ask("POST", path, entry("own", { username: arn("ann") }))).status).toBe(201);
});
