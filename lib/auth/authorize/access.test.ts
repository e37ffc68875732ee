import { afterAll, beforeAll, expect, test } from "vitest";
import { clusterRoleBindings, clusterRoles, type PolicyRule, pods, roleBindings, type Subject } from "#api";
import { openCluster, type TestCluster } from "#test/cluster";

const group = "rbac.authorization.k8s.io";
const user = (name: string): Subject => ({ kind: "User", apiGroup: group, name });
const ref = (kind: "Role" | "ClusterRole", name: string) => ({ apiGroup: group, kind, name });
const base = "/api/v1/namespaces/default";
const rbac = `/apis/${group}/v1`;
const roles = `${rbac}/namespaces/default/roles`;
const bindings = `${rbac}/namespaces/default/rolebindings`;

let cluster: TestCluster;

const give = (name: string, role: string, namespace = "default") =>
  cluster.client.create(roleBindings, {
    metadata: { name: `${name}-${role}`, namespace },
    subjects: [user(name)],
    roleRef: ref("ClusterRole", role),
  });

beforeAll(async () => {
  cluster = await openCluster();
  await Promise.all([give("viewer", "view"), give("editor", "edit"), give("boss", "admin")]);
  await cluster.client.create(pods, {
    metadata: { name: "p", namespace: "default" },
    spec: { containers: [{ name: "c", image: "i" }] },
  } as never);
  // Rules are gathered by a controller.
  await cluster.until(async () => (await cluster.client.get(clusterRoles, { name: "admin" })).rules?.length);
  await cluster.quiet();
});
afterAll(() => cluster.close());

/** Sends a request as another user. */
const as =
  (name: string) =>
  (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
    cluster.ask(method, path, body, { "impersonate-user": name, ...headers });
const role = (name: string, ...rules: PolicyRule[]) => ({
  apiVersion: `${group}/v1`,
  kind: "Role",
  metadata: { name },
  rules,
});
const binding = (name: string, roleRef: object, who = "jill") => ({
  apiVersion: `${group}/v1`,
  kind: "RoleBinding",
  metadata: { name },
  subjects: [user(who)],
  roleRef,
});
const readPods = { verbs: ["get", "list"], apiGroups: [""], resources: ["pods"] };
const readSecrets = { verbs: ["get"], apiGroups: [""], resources: ["secrets"] };

test("allows a viewer to list pods and not to create any", async () => {
  const viewer = as("viewer");
  expect((await viewer("GET", `${base}/pods`)).json.items).toHaveLength(1);
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "q" },
    spec: { containers: [{ name: "c", image: "i" }] },
  };
  expect((await viewer("POST", `${base}/pods`, pod)).json).toMatchObject({
    code: 403,
    message:
      'pods is forbidden: User "viewer" cannot create resource "pods" in API group "" in the namespace "default"',
  });
  expect((await viewer("GET", `${base}/secrets`)).status).toBe(403);
  expect((await viewer("GET", "/api/v1/namespaces/kube-system/pods")).status).toBe(403);
  expect((await viewer("GET", "/api/v1/pods")).json.message).toBe(
    'pods is forbidden: User "viewer" cannot list resource "pods" in API group "" at the cluster scope',
  );
  expect((await viewer("GET", "/api/v1/namespaces/default")).status).toBe(200);
  expect((await viewer("GET", "/api/v1/namespaces")).status).toBe(403);
  expect((await viewer("GET", "/apis")).status).toBe(200);
  expect((await viewer("GET", "/metrics")).json.message).toBe('forbidden: User "viewer" cannot get path "/metrics"');
  const editor = as("editor");
  expect((await editor("POST", `${base}/pods`, pod)).status).toBe(201);
  expect((await editor("GET", `${base}/pods`)).status).toBe(200);
  expect((await editor("POST", roles, role("r", readPods))).status).toBe(403);
});

test("grants and revokes rights at once", async () => {
  const late = as("late");
  expect((await late("GET", `${base}/pods`)).status).toBe(403);
  await give("late", "view");
  expect((await late("GET", `${base}/pods`)).status).toBe(200);
  await cluster.client.delete(roleBindings, { namespace: "default", name: "late-view" });
  expect((await late("GET", `${base}/pods`)).status).toBe(403);
});

test("refuses a role with rights that its writer lacks", async () => {
  const boss = as("boss");
  expect((await boss("POST", roles, role("pods", readPods))).status).toBe(201);
  const nodes = { verbs: ["get", "list"], apiGroups: [""], resources: ["nodes"] };
  const refused = await boss("POST", roles, role("nodes", readPods, nodes));
  expect(refused.json).toMatchObject({
    code: 403,
    reason: "Forbidden",
    details: { group, kind: "roles", name: "nodes" },
  });
  expect(refused.json.message).toBe(
    'roles.rbac.authorization.k8s.io "nodes" is forbidden: user "boss" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[""], Resources:["nodes"], Verbs:["get" "list"]}',
  );
  const put = await boss("PUT", `${roles}/pods`, role("pods", nodes));
  expect(put.json.message).toMatch(/is attempting to grant RBAC permissions not currently held/);
  const patch = await boss(
    "PATCH",
    `${roles}/pods`,
    { rules: [nodes] },
    { "content-type": "application/merge-patch+json" },
  );
  expect(patch.status).toBe(403);
  const label = { metadata: { labels: { a: "b" } } };
  const merge = { "content-type": "application/merge-patch+json" };
  expect((await boss("PATCH", `${roles}/pods`, label, merge)).status).toBe(200);
  // Even a label, where the role has more rights than its writer.
  expect((await cluster.ask("POST", roles, role("more", nodes))).status).toBe(201);
  expect((await boss("PATCH", `${roles}/more`, label, merge)).status).toBe(403);
  const finalizers = { metadata: { finalizers: ["example.com/wait"] } };
  expect((await boss("PATCH", `${roles}/more`, finalizers, merge)).status).toBe(200);
  await boss("PATCH", `${roles}/more`, { metadata: { finalizers: null } }, merge);
});

test("requires for a binding all rights of the role, or the right to bind it", async () => {
  const boss = as("boss");
  expect((await boss("POST", bindings, binding("views", ref("ClusterRole", "view")))).status).toBe(201);
  const refused = await boss("POST", bindings, binding("roots", ref("ClusterRole", "cluster-admin")));
  expect(refused.json.message).toBe(
    'rolebindings.rbac.authorization.k8s.io "roots" is forbidden: user "boss" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:["*"], Resources:["*"], Verbs:["*"]}\n{NonResourceURLs:["*"], Verbs:["*"]}',
  );
  expect((await boss("POST", bindings, binding("none", ref("Role", "none")))).json).toMatchObject({
    code: 404,
    message: 'roles.rbac.authorization.k8s.io "none" not found',
  });
  expect((await boss("POST", bindings, binding("odd", { apiGroup: group, kind: "Pod", name: "p" }))).status).toBe(422);
  const bind = { verbs: ["bind"], apiGroups: [group], resources: ["clusterroles"], resourceNames: ["cluster-admin"] };
  await cluster.client.create(clusterRoles, { metadata: { name: "binder" }, rules: [bind] });
  await give("boss", "binder");
  expect((await boss("POST", bindings, binding("roots", ref("ClusterRole", "cluster-admin")))).status).toBe(201);
  expect((await as("jill")("GET", `${base}/secrets`)).status).toBe(200);
  expect((await as("jill")("GET", "/api/v1/nodes")).status).toBe(403);
  const changed = await boss("PUT", `${bindings}/roots`, binding("roots", ref("ClusterRole", "view")));
  expect(changed.json).toMatchObject({ code: 422, details: { causes: [{ field: "roleRef" }] } });
  expect(changed.json.message).toMatch(/field is immutable/);
});

test("allows any role to a writer with `escalate`, and requires all rights for aggregation", async () => {
  const everywhere = (name: string, ...rules: PolicyRule[]) =>
    Promise.all([
      cluster.client.create(clusterRoles, { metadata: { name }, rules }),
      cluster.client.create(clusterRoleBindings, {
        metadata: { name },
        subjects: [user(name)],
        roleRef: ref("ClusterRole", name),
      }),
    ]);
  const writeRoles = { verbs: ["create", "update", "patch"], apiGroups: [group], resources: ["clusterroles"] };
  await everywhere("architect", writeRoles, { ...writeRoles, verbs: ["escalate"] });
  await everywhere("clerk", writeRoles);
  const path = `${rbac}/clusterroles`;
  const all = (name: string, more: object) => ({
    apiVersion: `${group}/v1`,
    kind: "ClusterRole",
    metadata: { name },
    ...more,
  });
  expect((await as("clerk")("POST", path, all("c1", { rules: [readSecrets] }))).status).toBe(403);
  expect((await as("architect")("POST", path, all("c1", { rules: [readSecrets] }))).status).toBe(201);
  const aggregationRule = { clusterRoleSelectors: [{ matchLabels: { a: "b" } }] };
  expect((await as("clerk")("POST", path, all("c2", { aggregationRule }))).json.message).toBe(
    'clusterroles.rbac.authorization.k8s.io "c2" is forbidden: must have cluster-admin privileges to use the aggregationRule',
  );
  expect((await as("architect")("POST", path, all("c2", { aggregationRule }))).status).toBe(201);
});

const authorization = "/apis/authorization.k8s.io/v1";
const question = (kind: string, spec: object, version = "authorization.k8s.io/v1") => ({
  apiVersion: version,
  kind,
  spec,
});

test("allows a watch of one object to a user with rights on its name", async () => {
  const rules = [
    { verbs: ["get", "list", "watch", "deletecollection"], apiGroups: [""], resources: ["pods"], resourceNames: ["p"] },
  ];
  await cluster.client.create(clusterRoles, { metadata: { name: "follower" }, rules });
  await give("follower", "follower");
  const follower = as("follower");
  const status = async (query: string) => (await follower("GET", `${base}/pods${query}`)).status;
  expect(await status("/p")).toBe(200);
  expect(await status("?fieldSelector=metadata.name%3Dp")).toBe(200);
  expect(await status("?fieldSelector=metadata.name%3Dp,spec.nodeName%3Dx")).toBe(200);
  for (const other of [
    "",
    "?fieldSelector=metadata.name%3Dq",
    "?fieldSelector=metadata.name!%3Dp",
    "?fieldSelector=p",
  ]) {
    expect(await status(other), other).toBe(403);
  }
  expect((await follower("DELETE", `${base}/pods?fieldSelector=metadata.name%3Dp`)).status).toBe(403);
});

test("requires `create` to run a command in a pod, whatever the method of the request", async () => {
  const rules = [{ verbs: ["get"], apiGroups: [""], resources: ["pods/exec", "pods/log"] }];
  await cluster.client.create(clusterRoles, { metadata: { name: "peeper" }, rules });
  await give("peeper", "peeper");
  const upgrade = { connection: "upgrade", upgrade: "websocket" };
  const exec = `${base}/pods/p/exec?command=ls&stdout=true`;
  expect((await as("peeper")("GET", exec, undefined, upgrade)).json.message).toMatch(
    /User "peeper" cannot create resource "pods\/exec"/,
  );
  expect((await as("editor")("GET", exec, undefined, upgrade)).json.message ?? "").not.toMatch(/forbidden/);
  expect((await as("peeper")("GET", `${base}/pods/p/log`)).status).toBe(200);
});

test("answers access reviews and stores none", async () => {
  const ask = (spec: object) =>
    as("viewer")("POST", `${authorization}/selfsubjectaccessreviews`, question("SelfSubjectAccessReview", spec));
  const list = { verb: "list", resource: "pods", namespace: "default" };
  const yes = await ask({ resourceAttributes: list });
  expect(yes.status).toBe(201);
  expect(yes.json).toMatchObject({
    kind: "SelfSubjectAccessReview",
    spec: { resourceAttributes: list },
    status: {
      allowed: true,
      reason: 'RBAC: allowed by RoleBinding "viewer-view/default" of ClusterRole "view" to User "viewer"',
    },
  });
  expect((await ask({ resourceAttributes: { ...list, verb: "create" } })).json.status).toEqual({ allowed: false });
  expect((await ask({ nonResourceAttributes: { verb: "get", path: "/api" } })).json.status.allowed).toBe(true);
  expect((await ask({})).json).toMatchObject({
    code: 422,
    details: { causes: [{ field: "spec" }] },
  });
  const odd = {
    ...list,
    labelSelector: { requirements: [{ key: "a", operator: "Near" }] },
    fieldSelector: { rawSelector: "a" },
  };
  expect((await ask({ resourceAttributes: odd })).json.status.evaluationError).toBe(
    "spec.resourceAttributes.fieldSelector ignored due to parse error; spec.resourceAttributes.labelSelector ignored due to parse error",
  );
  const about = { user: "viewer", resourceAttributes: list };
  const review = question("SubjectAccessReview", about);
  expect((await as("viewer")("POST", `${authorization}/subjectaccessreviews`, review)).status).toBe(403);
  expect((await cluster.ask("POST", `${authorization}/subjectaccessreviews`, review)).json.status.allowed).toBe(true);
  const local = `${authorization}/namespaces/default/localsubjectaccessreviews`;
  expect((await as("boss")("POST", local, question("LocalSubjectAccessReview", about))).json.status.allowed).toBe(true);
  const elsewhere = { ...about, resourceAttributes: { ...list, namespace: "kube-system" } };
  expect((await as("boss")("POST", local, question("LocalSubjectAccessReview", elsewhere))).status).toBe(422);
  expect((await cluster.ask("GET", `${authorization}/subjectaccessreviews`)).status).toBe(405);
});

test("answers self subject reviews", async () => {
  const rules = question("SelfSubjectRulesReview", { namespace: "default" });
  const { json } = await as("viewer")("POST", `${authorization}/selfsubjectrulesreviews`, rules);
  expect(json.status).toMatchObject({ incomplete: false });
  expect(json.status.resourceRules).toContainEqual({
    verbs: ["get", "list", "watch"],
    apiGroups: [""],
    resources: ["namespaces"],
  });
  expect(json.status.nonResourceRules.flatMap((rule: PolicyRule) => rule.nonResourceURLs)).toContain("/apis/*");
  const node = await as("system:node:one")("POST", `${authorization}/selfsubjectrulesreviews`, rules, {
    "impersonate-group": "system:nodes",
  });
  expect(node.json.status).toMatchObject({
    incomplete: true,
    evaluationError: "node authorizer does not support user rule resolution",
  });
  const nowhere = question("SelfSubjectRulesReview", {});
  expect((await as("viewer")("POST", `${authorization}/selfsubjectrulesreviews`, nowhere)).json).toMatchObject({
    code: 400,
    message: "no namespace on request",
  });
  const who = question("SelfSubjectReview", {}, "authentication.k8s.io/v1");
  const headers = { "impersonate-uid": "7", "impersonate-extra-scopes%2fa": "read" };
  const me = await as("viewer")("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", who, headers);
  expect(me.json).toMatchObject({
    kind: "SelfSubjectReview",
    status: {
      userInfo: { username: "viewer", uid: "7", groups: ["system:authenticated"], extra: { "scopes/a": ["read"] } },
    },
  });
});

/** Sends a request with a client certificate. */
async function own(name: string, headers: Record<string, string>, repeated?: Record<string, string[]>) {
  const response = await cluster.plane.server.handle({
    method: "POST",
    path: "/apis/authentication.k8s.io/v1/selfsubjectreviews",
    query: new URLSearchParams(),
    headers: { "content-type": "application/json", ...headers },
    ...(repeated ? { repeated } : {}),
    body: async () =>
      new TextEncoder().encode(JSON.stringify(question("SelfSubjectReview", {}, "authentication.k8s.io/v1"))),
    signal: AbortSignal.timeout(5000),
    peer: { certificate: { commonName: name, organizations: [] } },
  });
  const json = JSON.parse(new TextDecoder().decode(response.body as Uint8Array));
  return response.status === 201 ? json.status.userInfo : json.message;
}

test("requires a right for each part of an impersonated identity", async () => {
  const impersonate = { verbs: ["impersonate"], apiGroups: [""] };
  const other = { verbs: ["impersonate"], apiGroups: ["authentication.k8s.io"] };
  const rules = [
    { ...impersonate, resources: ["users"], resourceNames: ["jane"] },
    { ...impersonate, resources: ["groups"], resourceNames: ["cn=dev,ou=people", "ops"] },
    { ...impersonate, resources: ["serviceaccounts"], resourceNames: ["robot"] },
    { ...other, resources: ["userextras/scopes"], resourceNames: ["read"] },
    { ...other, resources: ["uids"], resourceNames: ["7"] },
  ];
  await cluster.client.create(clusterRoles, { metadata: { name: "actor" }, rules });
  await cluster.client.create(clusterRoleBindings, {
    metadata: { name: "actor" },
    subjects: [user("actor")],
    roleRef: ref("ClusterRole", "actor"),
  });
  const all = "system:authenticated";
  expect(await own("actor", { "impersonate-user": "jane" })).toEqual({ username: "jane", groups: [all] });
  expect(await own("actor", { "impersonate-user": "joe" })).toBe(
    'users "joe" is forbidden: User "actor" cannot impersonate resource "users" in API group "" at the cluster scope',
  );
  const groups = { "impersonate-user": "jane", "impersonate-group": "cn=dev,ou=people" };
  expect(await own("actor", groups)).toEqual({ username: "jane", groups: ["cn=dev,ou=people", all] });
  const several = { "impersonate-group": ["cn=dev,ou=people", "ops"] };
  expect(await own("actor", groups, several)).toEqual({ username: "jane", groups: ["cn=dev,ou=people", "ops", all] });
  expect(await own("actor", groups, { "impersonate-group": ["ops", "system:masters"] })).toMatch(
    /^groups "system:masters" is forbidden: User "actor" cannot impersonate resource "groups"/,
  );
  expect(await own("actor", { "impersonate-user": "system:serviceaccount:default:robot" })).toEqual({
    username: "system:serviceaccount:default:robot",
    groups: ["system:serviceaccounts", "system:serviceaccounts:default", all],
  });
  expect(await own("actor", { "impersonate-user": "system:serviceaccount:default:other" })).toBe(
    'serviceaccounts "other" is forbidden: User "actor" cannot impersonate resource "serviceaccounts" in API group "" in the namespace "default"',
  );
  const extra = { "impersonate-user": "jane", "impersonate-extra-scopes": "read", "impersonate-uid": "7" };
  expect(await own("actor", extra)).toMatchObject({ uid: "7", extra: { scopes: ["read"] } });
  expect(await own("actor", { ...extra, "impersonate-extra-scopes": "write" })).toBe(
    'userextras.authentication.k8s.io "write" is forbidden: User "actor" cannot impersonate resource "userextras/scopes" in API group "authentication.k8s.io" at the cluster scope',
  );
  expect(await own("actor", { ...extra, "impersonate-uid": "8" })).toMatch(/cannot impersonate resource "uids"/);
  expect(await own("actor", { "impersonate-group": "ops" })).toBe(
    "requested impersonation without impersonating a user name",
  );
  expect(await own("viewer", { "impersonate-user": "system:anonymous" })).toMatch(
    /cannot impersonate resource "users"/,
  );
});

test("allows anonymous users health and the version, and nothing else", async () => {
  const ask = async (path: string, method = "GET") => {
    const response = await cluster.plane.server.handle({
      method,
      path,
      query: new URLSearchParams(),
      headers: {},
      body: async () => new Uint8Array(),
      signal: AbortSignal.timeout(5000),
    });
    return response.status;
  };
  for (const path of ["/healthz", "/livez", "/readyz", "/readyz/ping", "/version"])
    expect(await ask(path), path).toBe(200);
  expect(await ask("/healthz", "HEAD")).toBe(200);
  expect(await ask("/healthz", "POST")).toBe(403);
  for (const path of ["/", "/api", "/apis", "/openapi/v3", "/metrics", `${base}/pods`, "/healthzz"]) {
    expect(await ask(path), path).toBe(403);
  }
});
