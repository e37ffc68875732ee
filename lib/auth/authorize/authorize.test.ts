import { afterAll, beforeAll, expect, test } from "vitest";
import { pods, secrets } from "#api";
import { openCluster, type TestCluster } from "#test/cluster";

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await openCluster();
  await cluster.addNode("one");
  await cluster.addNode("two");
  for (const name of ["used", "published", "unused"])
    await cluster.client.create(secrets, { metadata: { name, namespace: "default" } });
  for (const node of ["one", "two"]) {
    const csi = { driver: "a.example", nodePublishSecretRef: { name: "published" } };
    const volumes =
      node === "one"
        ? [
            { name: "v", secret: { secretName: "used" } },
            { name: "c", csi },
          ]
        : [];
    const spec = { nodeName: node, containers: [{ name: "c", image: "i" }], volumes };
    await cluster.client.create(pods, { metadata: { name: `on-${node}`, namespace: "default" }, spec } as never);
  }
});
afterAll(() => cluster.close());

/** Sends a request with a client certificate. */
async function as(name: string, groups: string[], method: string, path: string, body?: object) {
  const [where = "", query] = path.split("?");
  const response = await cluster.plane.server.handle({
    method,
    path: where,
    query: new URLSearchParams(query),
    headers: body ? { "content-type": "application/json" } : {},
    body: async () => new TextEncoder().encode(body ? JSON.stringify(body) : ""),
    signal: AbortSignal.timeout(1000),
    peer: { certificate: { commonName: name, organizations: groups } },
  });
  const text = response.body instanceof Uint8Array ? new TextDecoder().decode(response.body) : "{}";
  return { status: response.status, json: text.startsWith("{") ? JSON.parse(text) : {} };
}
const node = (method: string, path: string, body?: object) =>
  as("system:node:one", ["system:nodes"], method, path, body);
const base = "/api/v1/namespaces/default";

test("allows a user without groups only discovery", async () => {
  const refused = await as("jane", [], "GET", `${base}/pods`);
  expect(refused.json).toMatchObject({
    code: 403,
    reason: "Forbidden",
    message: 'pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "default"',
  });
  expect((await as("jane", [], "GET", "/apis")).status).toBe(200);
  expect((await as("jane", [], "GET", "/api/v1/nodes")).json.message).toBe(
    'nodes is forbidden: User "jane" cannot list resource "nodes" in API group "" at the cluster scope',
  );
});

test("allows a node its own pods and the objects that they name", async () => {
  expect((await node("GET", `${base}/pods`)).json.message).toMatch(
    /can only list\/watch pods with spec\.nodeName field selector/,
  );
  expect((await node("GET", "/api/v1/pods?fieldSelector=spec.nodeName=one")).json.items).toHaveLength(1);
  expect((await node("GET", "/api/v1/pods?fieldSelector=spec.nodeName=two")).status).toBe(403);
  expect((await node("GET", `${base}/pods/on-one`)).status).toBe(200);
  expect((await node("GET", `${base}/pods/on-two`)).json.message).toMatch(
    /no relationship found between node 'one' and this object/,
  );
  expect((await node("GET", `${base}/secrets/used`)).status).toBe(200);
  expect((await node("GET", `${base}/secrets/published`)).status).toBe(200);
  expect((await node("GET", `${base}/secrets/unused`)).status).toBe(403);
  expect((await node("GET", `${base}/secrets`)).status).toBe(403);
});

test("refuses a node reads of other nodes", async () => {
  const nodes = "/api/v1/nodes";
  const names = (name: string) => `${nodes}?fieldSelector=metadata.name%3D${name}`;
  for (const path of [`${nodes}/one`, names("one")]) expect((await node("GET", path)).status).toBe(200);
  const message = async (path: string) => (await node("GET", path)).json.message;
  expect(await message(nodes)).toMatch(/node 'one' cannot read all nodes, only its own Node object/);
  for (const path of [`${nodes}/two`, names("two")])
    expect(await message(path)).toMatch(/node 'one' cannot read 'two', only its own Node object/);
  expect((await node("DELETE", `${nodes}/one`)).status).toBe(403);
});

test("allows a node writes of its own objects only", async () => {
  const status = { status: { phase: "Running" } };
  const merge = (path: string, body: object) => node("PATCH", path, body);
  expect((await merge(`${base}/pods/on-one/status`, status)).status).toBe(415);
  const put = async (name: string) => {
    const { json } = await cluster.ask("GET", `${base}/pods/${name}`);
    return node("PUT", `${base}/pods/${name}/status`, { ...json, status: { ...json.status, phase: "Running" } });
  };
  expect((await put("on-one")).status).toBe(200);
  expect((await put("on-two")).json.message).toMatch(
    /node "one" can only update pod status for pods with spec\.nodeName set to itself/,
  );
  const two = (await cluster.ask("GET", "/api/v1/nodes/two")).json;
  expect((await node("PUT", "/api/v1/nodes/two", two)).json.message).toMatch(
    /node "one" is not allowed to modify node "two"/,
  );
  const one = (await cluster.ask("GET", "/api/v1/nodes/one")).json;
  const tainted = { ...one, spec: { ...one.spec, taints: [{ key: "a", effect: "NoSchedule" }] } };
  expect((await node("PUT", "/api/v1/nodes/one", tainted)).json.message).toMatch(/is not allowed to modify taints/);
  expect((await node("DELETE", `${base}/pods/on-two?gracePeriodSeconds=0`)).status).toBe(403);
  const lease = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: { name: "two" } };
  expect((await node("POST", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", lease)).status).toBe(
    403,
  );
  const own = { ...lease, metadata: { name: "one" } };
  expect((await node("POST", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", own)).status).toBe(201);
  const reads = async (path: string) => (await node("GET", `/apis/coordination.k8s.io/v1/namespaces/${path}`)).status;
  expect(await reads("kube-node-lease/leases/one")).toBe(200);
  for (const path of ["kube-node-lease/leases/two", "kube-node-lease/leases", "default/leases/one"]) {
    expect([path, await reads(path)]).toEqual([path, 403]);
  }
  expect(
    (await node("POST", `${base}/configmaps`, { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "x" } })).status,
  ).toBe(403);
});

// Upstream's authorizeCSINode.
test("allows a node its own CSINode, and reads of all CSI drivers", async () => {
  const path = "/apis/storage.k8s.io/v1/csinodes";
  const csiNode = (name: string) => ({
    apiVersion: "storage.k8s.io/v1",
    kind: "CSINode",
    metadata: { name },
    spec: { drivers: [] },
  });
  expect((await node("POST", path, csiNode("two"))).status).toBe(403);
  expect((await node("POST", path, csiNode("one"))).status).toBe(201);
  expect((await node("GET", `${path}/one`)).status).toBe(200);
  expect((await node("GET", `${path}/two`)).json.message).toMatch(
    /can only access CSINode with the same name as the requesting node/,
  );
  expect((await node("GET", path)).json.message).toMatch(/can only get, create, update, patch, or delete a CSINode/);
  expect((await node("DELETE", `${path}/one`)).status).toBe(200);
  expect((await node("GET", "/apis/storage.k8s.io/v1/csidrivers")).status).toBe(200);
  expect((await node("DELETE", "/apis/storage.k8s.io/v1/csidrivers/a")).status).toBe(403);
});

test("refuses impersonation without the right", async () => {
  const admin = { "impersonate-user": "jane" };
  expect((await cluster.ask("GET", `${base}/pods`, undefined, admin)).json.message).toMatch(/User "jane" cannot list/);
  const response = await cluster.plane.server.handle({
    method: "GET",
    path: `${base}/pods`,
    query: new URLSearchParams(),
    headers: { "impersonate-user": "kubernetes-admin", "impersonate-group": "system:masters" },
    body: async () => new Uint8Array(),
    signal: AbortSignal.timeout(1000),
    peer: { certificate: { commonName: "jane", organizations: [] } },
  });
  expect(JSON.parse(new TextDecoder().decode(response.body as Uint8Array)).message).toMatch(
    /cannot impersonate resource "users"/,
  );
});
