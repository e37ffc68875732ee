import { afterAll, beforeAll, expect, test } from "vitest";
import { certificateSigningRequests, clusterRoleBindings, clusterRoles } from "#api";
import { createRequest } from "#auth/certificates";
import { openCluster, type TestCluster } from "#test/cluster";

/* Seen on kube-apiserver v1.37.2: statuses and messages. */

const base = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const signerName = "example.com/signer";
const jane = { "impersonate-user": "jane" };
const rbac = "rbac.authorization.k8s.io";
let cluster: TestCluster;

beforeAll(async () => {
  cluster = await openCluster({ asleep: true });
  const parts = ["", "/approval", "/status"].map((part) => `certificatesigningrequests${part}`);
  await allow("writer", { verbs: ["*"], apiGroups: ["certificates.k8s.io"], resources: parts });
});
afterAll(() => cluster.close());

async function allow(
  name: string,
  rule: { verbs: string[]; apiGroups: string[]; resources: string[]; resourceNames?: string[] },
) {
  await cluster.client.create(clusterRoles, { metadata: { name }, rules: [rule] });
  await cluster.client.create(clusterRoleBindings, {
    metadata: { name },
    roleRef: { apiGroup: rbac, kind: "ClusterRole", name },
    subjects: [{ kind: "User", apiGroup: rbac, name: "jane" }],
  });
}
const mayUse = (name: string, verb: string, signer: string) =>
  allow(name, { verbs: [verb], apiGroups: ["certificates.k8s.io"], resources: ["signers"], resourceNames: [signer] });

async function make(name: string, organization = "people", signer = signerName) {
  const { request } = await createRequest({ commonName: "x", organizations: [organization] });
  const spec = { request: btoa(request), signerName: signer, usages: ["client auth"] };
  return cluster.ask("POST", base, { metadata: { name }, spec });
}

async function write(name: string, part: string, change: { status?: unknown; labels?: Record<string, string> }) {
  const request = await cluster.client.get(certificateSigningRequests, { name });
  const next = {
    ...request,
    ...(change.status ? { status: change.status } : {}),
    metadata: { ...request.metadata, ...(change.labels ? { labels: change.labels } : {}) },
  };
  const { status, json } = await cluster.ask("PUT", `${base}/${name}/${part}`, next, jane);
  return [status, json.message];
}

const condition = (type: string) => ({ conditions: [{ type, status: "True" }] });
const forbidden = (name: string, why: string) => [
  403,
  `certificatesigningrequests.certificates.k8s.io "${name}" is forbidden: ${why}`,
];

test("approving takes the right on the signer", async () => {
  await make("a");
  const refused = forbidden("a", `user not permitted to approve requests with signerName "${signerName}"`);
  expect(await write("a", "approval", { status: condition("Approved") })).toEqual(refused);
  await mayUse("approver", "approve", "example.com/*");
  expect(await write("a", "approval", { status: condition("Approved") })).toEqual([200, undefined]);
});

test("writing conditions or a certificate takes the right to sign, writing metadata does not", async () => {
  await make("b");
  const refused = forbidden("b", `user not permitted to sign requests with signerName "${signerName}"`);
  expect(await write("b", "status", { status: condition("Other") })).toEqual(refused);
  expect(await write("b", "status", { labels: { a: "b" } })).toEqual([200, undefined]);
  await mayUse("signer", "sign", signerName);
  expect(await write("b", "status", { status: condition("Other") })).toEqual([200, undefined]);
});

test("no client certificate is requested for system:masters", async () => {
  const signer = "kubernetes.io/kube-apiserver-client";
  const { status, json } = await make("c", "system:masters", signer);
  const why = "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed";
  expect([status, json.message]).toEqual(forbidden("c", why));
  expect((await make("d", "system:masters")).status).toBe(201);
  expect((await make("e", "people", signer)).status).toBe(201);
});

test("discovery and selectors are upstream's", async () => {
  const { json } = await cluster.ask("GET", "/apis/certificates.k8s.io/v1");
  expect(
    json.resources.map(({ name, verbs, shortNames }: Record<string, unknown>) => [name, verbs, shortNames]),
  ).toEqual([
    [
      "certificatesigningrequests",
      ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
      ["csr"],
    ],
    ["certificatesigningrequests/approval", ["get", "patch", "update"], undefined],
    ["certificatesigningrequests/status", ["get", "patch", "update"], undefined],
  ]);
  expect((await cluster.ask("GET", `${base}?fieldSelector=spec.signerName%3Dexample.com/signer`)).status).toBe(200);
  const wrong = await cluster.ask("GET", `${base}?fieldSelector=spec.username%3Dx`);
  expect([wrong.status, wrong.json.message]).toEqual([400, "field label not supported: spec.username"]);
  expect((await cluster.ask("GET", `${base}/a/approval`)).status).toBe(200);
  expect((await cluster.ask("POST", `${base}/a/approval`, {})).status).toBe(405);
});
