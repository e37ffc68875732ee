import { afterAll, beforeAll, expect, test } from "vitest";
import { configMaps } from "#api";
import { openCluster, type TestCluster } from "#test/cluster";
import { protobuf } from "#wire";

let cluster: TestCluster;
let ask: TestCluster["ask"];
beforeAll(async () => {
  cluster = await openCluster();
  ({ ask } = cluster);
});
afterAll(() => cluster.close());

const maps = "/api/v1/namespaces/default/configmaps";
const deployments = "/apis/apps/v1/namespaces/default/deployments";
const leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
const merge = { "content-type": "application/merge-patch+json" };
const template = { metadata: { labels: { app: "a" } }, spec: { containers: [{ name: "c", image: "i" }] } };
const deployment = (name: string, more: object = {}) => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name },
  spec: { paused: true, replicas: 0, selector: { matchLabels: { app: "a" } }, template },
  ...more,
});

test("generateName: five letters of upstream's alphabet, cut to fit, refused after eight collisions", async () => {
  const made = await ask("POST", maps, { metadata: { generateName: "g-" } });
  expect(made.json.metadata.name).toMatch(/^g-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
  expect(made.json.metadata.generateName).toBe("g-");
  const long = await ask("POST", maps, { metadata: { generateName: "x".repeat(70) } });
  expect(long.json.metadata.name).toMatch(/^x{58}.{5}$/);
  const both = await ask("POST", maps, { metadata: { generateName: "g-", name: "given" } });
  expect(both.json.metadata.name).toBe("given");
  const neither = await ask("POST", maps, { metadata: {} });
  expect(neither.json).toMatchObject({
    code: 422,
    details: { causes: [{ field: "metadata.name", message: "Required value: name or generateName is required" }] },
  });
});

test("a body for another namespace, or under another name, is refused", async () => {
  const elsewhere = await ask("POST", maps, { metadata: { name: "a", namespace: "kube-system" } });
  expect(elsewhere.json).toMatchObject({
    code: 400,
    reason: "BadRequest",
    message: "the namespace of the provided object does not match the namespace sent on the request",
  });
  await ask("POST", maps, { metadata: { name: "named" } });
  expect((await ask("PUT", `${maps}/named`, { metadata: { name: "other" } })).json).toMatchObject({
    code: 400,
    message: "the name of the object (other) does not match the name on the URL (named)",
  });
  const moved = await ask("PUT", `${maps}/named`, { metadata: { name: "named", namespace: "kube-system" } });
  expect(moved.json.code).toBe(400);
});

test("PUT: without a revision it overwrites, with a stale one or another uid it conflicts", async () => {
  const made = await ask("POST", maps, { metadata: { name: "put" }, data: { x: "1" } });
  const free = await ask("PUT", `${maps}/put`, { metadata: { name: "put" }, data: { x: "2" } });
  expect([free.status, free.json.metadata.uid]).toEqual([200, made.json.metadata.uid]);
  expect((await ask("PUT", `${maps}/put`, made.json)).json).toEqual({
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message:
      'Operation cannot be fulfilled on configmaps "put": the object has been modified; please apply your changes to the latest version and try again',
    reason: "Conflict",
    details: { name: "put", kind: "configmaps" },
    code: 409,
  });
  const other = await ask("PUT", `${maps}/put`, { metadata: { name: "put", uid: "x" } });
  expect(other.json).toMatchObject({ code: 409, reason: "Conflict" });
  expect(other.json.message).toContain("Precondition failed: UID in precondition: x, UID in object meta: ");
  const stale = { metadata: { resourceVersion: made.json.metadata.resourceVersion }, data: { x: "3" } };
  expect((await ask("PATCH", `${maps}/put`, stale, merge)).json.code).toBe(409);
  expect((await ask("PUT", `${maps}/none`, { metadata: { name: "none" } })).json).toMatchObject({
    code: 404,
    message: 'configmaps "none" not found',
  });
});

test("PUT of a lease needs a revision, and creates what is not there", async () => {
  const made = await ask("PUT", `${leases}/l`, { metadata: { name: "l" }, spec: { holderIdentity: "a" } });
  expect([made.status, made.json.metadata.name]).toEqual([201, "l"]);
  expect((await ask("PUT", `${leases}/l`, { metadata: { name: "l" } })).json).toEqual({
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message:
      'leases.coordination.k8s.io "l" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update',
    reason: "Invalid",
    details: {
      name: "l",
      group: "coordination.k8s.io",
      kind: "leases",
      causes: [
        {
          reason: "FieldValueInvalid",
          message: "Invalid value: 0: must be specified for an update",
          field: "metadata.resourceVersion",
        },
      ],
    },
    code: 422,
  });
  expect((await ask("PUT", `${leases}/m`, { metadata: { name: "n" } })).json.code).toBe(400);
  expect((await ask("PUT", `${leases}/m`, { metadata: { name: "m", uid: "x" } })).json.code).toBe(409);
  const named = await ask("PUT", `${leases}/m`, { metadata: { name: "m" }, spec: { holderIdentity: "a" } });
  expect([named.status, named.json.metadata.name]).toEqual([201, "m"]);
});

test("a write that changes nothing keeps the revision", async () => {
  const made = await ask("POST", maps, { metadata: { name: "same" }, data: { x: "1" } });
  for (const again of [
    await ask("PUT", `${maps}/same`, made.json),
    await ask("PATCH", `${maps}/same`, { data: { x: "1" } }, merge),
    await ask("PATCH", `${maps}/same`, [], { "content-type": "application/json-patch+json" }),
    await ask("PATCH", `${maps}/same`, {}, { "content-type": "application/strategic-merge-patch+json" }),
  ]) {
    expect([again.status, again.json]).toEqual([200, made.json]);
  }
});

test("the generation counts changes of what is wanted, and of nothing else", async () => {
  const path = `${deployments}/g`;
  const made = await ask("POST", deployments, deployment("g", { status: { replicas: 7 } }));
  const generation = async (patch: object, where = path) =>
    (await ask("PATCH", where, patch, merge)).json.metadata.generation;
  expect(made.json.metadata.generation).toBe(1);
  expect(await generation({ metadata: { labels: { a: "1" }, generation: 9 } })).toBe(1);
  expect(await generation({ status: { replicas: 3 } }, `${path}/status`)).toBe(1);
  expect(await generation({ spec: { replicas: 0 } })).toBe(1);
  expect(await generation({ spec: { minReadySeconds: 1 } })).toBe(2);
  expect(await generation({ metadata: { finalizers: ["ex.io/f"] } })).toBe(2);
  expect((await ask("DELETE", path)).json.metadata.generation).toBe(3);
  await ask("PATCH", path, { metadata: { finalizers: null } }, merge);
});

// Seen on v1.37.2: the field of an older version counts as a change and is then taken off.
test("the generation of an endpoint slice counts a deprecatedTopology", async () => {
  const path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
  const endpoints = (more: object) => [{ addresses: ["10.0.0.1"], ...more }];
  await ask("POST", path, { metadata: { name: "es" }, addressType: "IPv4", endpoints: endpoints({}) });
  const written = [];
  for (const more of [
    { deprecatedTopology: { a: "b" } },
    { deprecatedTopology: {} },
    {},
    { deprecatedTopology: { a: "b" } },
  ]) {
    const { json } = await ask("PATCH", `${path}/es`, { endpoints: endpoints(more) }, merge);
    written.push([json.metadata.generation, json.endpoints]);
  }
  const kept = endpoints({ conditions: {} });
  expect(written).toEqual([2, 2, 2, 3].map((generation) => [generation, kept]));
});

test("status and spec are written apart, both ways", async () => {
  const path = `${deployments}/s`;
  const made = await ask("POST", deployments, deployment("s", { status: { replicas: 7, readyReplicas: 7 } }));
  expect(made.json.status?.replicas).toBeUndefined();
  const ignored = await ask("PATCH", path, { spec: { minReadySeconds: 4 }, status: { observedGeneration: 99 } }, merge);
  expect(ignored.json.spec.minReadySeconds).toBe(4);
  expect(ignored.json.status?.observedGeneration).not.toBe(99);
  const condition = { type: "Ex", status: "True" };
  const written = await ask(
    "PATCH",
    `${path}/status`,
    { spec: { minReadySeconds: 5 }, status: { conditions: [condition] } },
    merge,
  );
  expect(written.status).toBe(200);
  expect(written.json.spec.minReadySeconds).toBe(4);
  expect(written.json.status.conditions).toMatchObject([condition]);
  const current = (await ask("GET", `${path}/status`)).json;
  expect(current.kind).toBe("Deployment");
  const { resourceVersion: _revision, ...metadata } = current.metadata;
  const put = { ...current, metadata, spec: { ...current.spec, minReadySeconds: 6 }, status: { collisionCount: 3 } };
  const replaced = await ask("PUT", `${path}/status`, put);
  expect([replaced.json.spec.minReadySeconds, replaced.json.status.collisionCount]).toEqual([4, 3]);
  await ask("DELETE", path);
});

test("scale takes a PUT without a Content-Type, and conflicts on a stale revision", async () => {
  await ask("POST", deployments, deployment("scaled"));
  const path = `${deployments}/scaled/scale`;
  const before = (await ask("GET", path)).json;
  expect(before).toMatchObject({ kind: "Scale", metadata: { name: "scaled" }, status: { selector: "app=a" } });
  const { resourceVersion: _revision, ...metadata } = before.metadata;
  const put = await ask("PUT", path, { ...before, metadata, spec: { replicas: 0 } }, { "content-type": "" });
  expect(put.status).toBe(200);
  const stale = { ...before, metadata: { ...metadata, resourceVersion: "1" }, spec: { replicas: 3 } };
  expect((await ask("PUT", path, stale)).json).toMatchObject({ code: 409, reason: "Conflict" });
  const raised = await ask("PATCH", path, { spec: { replicas: 2 } }, merge);
  expect(raised.json.spec.replicas).toBe(2);
  expect((await ask("GET", `${deployments}/scaled`)).json.metadata.generation).toBe(2);
  expect((await ask("PATCH", path, { spec: { replicas: -1 } }, merge)).json.code).toBe(422);
  await ask("DELETE", `${deployments}/scaled`);
});

test("a create in protobuf", async () => {
  const type = { apiVersion: "v1", kind: "ConfigMap" };
  const { encodeEnvelope } = await protobuf();
  const bytes = encodeEnvelope(type, configMaps.shape, {
    metadata: { name: "proto" },
    data: { x: "1" },
  });
  const send = (path: string, contentType: string) =>
    cluster.plane.server.handle({
      method: "POST",
      path,
      query: new URLSearchParams("fieldManager=kubectl-create&fieldValidation=Strict"),
      headers: { "content-type": contentType, accept: "application/vnd.kubernetes.protobuf,application/json" },
      body: async () => bytes,
      signal: new AbortController().signal,
      peer: { certificate: { commonName: "kubernetes-admin", organizations: ["system:masters"] } },
    });
  const made = await send(maps, "application/vnd.kubernetes.protobuf");
  expect([made.status, made.headers["content-type"]]).toEqual([201, "application/json"]);
  expect((await ask("GET", `${maps}/proto`)).json.data).toEqual({ x: "1" });
  expect((await send(leases, "application/vnd.kubernetes.protobuf")).status).toBe(400);
});

test("a pod's resources change through pods/resize, read and patched there", async () => {
  await cluster.addNode("node");
  const pods = "/api/v1/namespaces/default/pods";
  const resources = { requests: { cpu: "100m" }, limits: { cpu: "200m" } };
  const made = await ask("POST", pods, {
    metadata: { name: "r" },
    spec: { nodeName: "node", containers: [{ name: "c", image: "i", resources }] },
  });
  expect(made.status).toBe(201);
  const read = await ask("GET", `${pods}/r/resize`);
  expect([read.status, read.json.kind]).toEqual([200, "Pod"]);
  const patch = { spec: { containers: [{ name: "c", resources: { requests: { cpu: "150m" } } }] } };
  const strategic = { "content-type": "application/strategic-merge-patch+json" };
  const resized = await ask("PATCH", `${pods}/r/resize`, patch, strategic);
  expect([resized.status, resized.json.message]).toEqual([200, undefined]);
  expect(resized.json.spec.containers[0].resources.requests.cpu).toBe("150m");
  expect(resized.json.metadata.generation).toBe(made.json.metadata.generation + 1);
  const debug = { spec: { ephemeralContainers: [{ name: "debug", image: "i" }] } };
  const debugged = await ask("PATCH", `${pods}/r/ephemeralcontainers`, debug, strategic);
  expect(debugged.json.spec.ephemeralContainers).toMatchObject([{ name: "debug" }]);
  expect((await ask("DELETE", `${pods}/r/resize`)).json).toMatchObject({ code: 405 });
  expect((await ask("GET", "/api/v1/namespaces/default/finalize")).json.code).toBe(405);
  const { json } = await ask("GET", "/api/v1");
  const verbs = Object.fromEntries(
    json.resources.map((each: { name: string; verbs: string[] }) => [each.name, each.verbs]),
  );
  expect(verbs["pods/resize"]).toEqual(["get", "patch", "update"]);
  expect(verbs["pods/ephemeralcontainers"]).toEqual(["get", "patch", "update"]);
  expect(verbs["namespaces/finalize"]).toEqual(["update"]);
});

const undeterminable = (name: string) =>
  `the name of the object (${name} based on URL) was undeterminable: name must be provided`;

// Seen on v1.37.2.
test("an object without its name is refused and keeps what it had", async () => {
  const path = `${maps}/nameless`;
  const before = await ask("POST", maps, {
    metadata: { name: "nameless", labels: { a: "b" }, finalizers: ["ex.io/f"] },
    data: { k: "v" },
  });
  const patches = [
    [{ metadata: null }, merge],
    [{ metadata: null }, { "content-type": "application/strategic-merge-patch+json" }],
    [[{ op: "remove", path: "/metadata" }], { "content-type": "application/json-patch+json" }],
    [{ metadata: { name: null } }, merge],
    [{ apiVersion: null }, merge],
  ] as const;
  for (const [patch, type] of patches) {
    const { status, json } = await ask("PATCH", path, patch, type);
    expect([patch, status, json.message]).toEqual([patch, 400, undeterminable("nameless")]);
  }
  for (const sent of [{}, { metadata: {} }, { metadata: null }]) {
    const { status, json } = await ask("PUT", path, sent);
    expect([sent, status, json.message]).toEqual([sent, 400, undeterminable("nameless")]);
    expect((await ask("PUT", `${maps}/none`, sent)).json.message).toBe(undeterminable("none"));
  }
  expect((await ask("GET", path)).json).toEqual(before.json);
});

// Seen on v1.37.2: BeforeUpdate takes some of these from the stored object, and ValidateObjectMetaUpdate refuses others.
test("metadata that is the server's is kept or refused", async () => {
  const path = `${maps}/system`;
  const { uid, creationTimestamp } = (await ask("POST", maps, { metadata: { name: "system" } })).json.metadata;
  const immutable = async (metadata: object) => (await ask("PATCH", path, { metadata }, merge)).json.message;
  const time = "2020-01-01T00:00:00Z";
  const refusal = (field: string, value: string) =>
    `ConfigMap "system" is invalid: metadata.${field}: Invalid value: ${value}: field is immutable`;
  expect(await immutable({ uid: "x" })).toBe(refusal("uid", '"x"'));
  expect(await immutable({ deletionTimestamp: time })).toBe(refusal("deletionTimestamp", `"${time}"`));
  expect(await immutable({ deletionGracePeriodSeconds: 5 })).toBe(refusal("deletionGracePeriodSeconds", "5"));
  const put = await ask("PUT", path, { metadata: { name: "system", deletionTimestamp: time } });
  expect([put.status, put.json.message]).toEqual([422, refusal("deletionTimestamp", `"${time}"`)]);
  const kept = { creationTimestamp: time, generation: 7, selfLink: "x", uid: null, generateName: "x-" };
  const patched = await ask("PATCH", path, { metadata: kept }, merge);
  const { resourceVersion: _revision, ...metadata } = patched.json.metadata;
  expect(metadata).toEqual({ name: "system", namespace: "default", uid, creationTimestamp, generateName: "x-" });
});

// Seen on v1.37.2.
test("a scale carries the name, the namespace and the uid of what is scaled", async () => {
  await ask("POST", deployments, deployment("scaled"));
  const path = `${deployments}/scaled/scale`;
  const put = async (metadata: object | undefined) => {
    const { status, json } = await ask("PUT", path, { ...(metadata ? { metadata } : {}), spec: { replicas: 7 } });
    return [status, json.message];
  };
  expect(await put({ name: "other" })).toEqual([
    400,
    "the name of the object (other) does not match the name on the URL (scaled)",
  ]);
  expect(await put({ name: "scaled", namespace: "other" })).toEqual([
    400,
    "the namespace of the provided object does not match the namespace sent on the request",
  ]);
  expect(await put(undefined)).toEqual([400, undeterminable("scaled")]);
  expect((await put({ name: "scaled", uid: "x" }))[0]).toBe(409);
  expect((await ask("PATCH", path, { metadata: null }, merge)).json.message).toBe(undeterminable("scaled"));
  expect((await ask("GET", `${deployments}/scaled`)).json.spec.replicas).toBe(0);
});

// Seen on v1.37.2: what is sent is defaulted before its status is taken.
test("reads an empty status as that of the defaults", async () => {
  const path = "/api/v1/namespaces/default/status";
  for (const status of [{}, { phase: "" }]) {
    const { status: code, json } = await ask("PUT", path, { metadata: { name: "default" }, status });
    expect([code, json.status?.phase]).toEqual([200, "Active"]);
  }
});

// Each as v1.37.2 answered it: the object's type is read by apimachinery's FromUnstructured.
test.each([
  [maps, { data: "x" }, "cannot restore map from string"],
  [maps, { data: [] }, "cannot restore map from slice"],
  [maps, { data: { k: 5 } }, "cannot convert int64 to string"],
  [maps, { data: { k: 1.5 } }, "unrecognized type: string"],
  [maps, { data: { k: ["x"] } }, "unrecognized type: string"],
  [maps, { binaryData: { k: 5 } }, "cannot restore slice from int64"],
  [maps, { immutable: 1 }, "unrecognized type: bool"],
  [maps, { metadata: { creationTimestamp: 5 } }, "json: cannot unmarshal number into Go value of type string"],
  [deployments, { spec: [] }, "cannot restore struct from: slice"],
  [deployments, { spec: { replicas: "2" } }, "unrecognized type: int32"],
  [deployments, { spec: { replicas: 1.5 } }, "cannot convert float64 to int32"],
  [deployments, { spec: { template: { spec: { containers: "x" } } } }, "cannot restore slice from string"],
  [
    deployments,
    { spec: { strategy: { rollingUpdate: { maxSurge: true } } } },
    "json: cannot unmarshal bool into Go value of type int32",
  ],
])("a strategic merge patch of %s with a wrong type: %j", async (path, patch, why) => {
  const name = "convert";
  await ask("POST", path, path === maps ? { metadata: { name }, data: { k: "v" } } : deployment(name));
  const strategic = { "content-type": "application/strategic-merge-patch+json" };
  const { json } = await ask("PATCH", `${path}/${name}?dryRun=All`, patch, strategic);
  expect([json.code, json.details.causes[0].message.slice(-why.length - 2)]).toEqual([422, `: ${why}`]);
});

test("a patch's media type is compared letter by letter, as upstream does", async () => {
  await ask("POST", maps, { metadata: { name: "typed" } });
  const answer = (type: string) => ask("PATCH", `${maps}/typed`, {}, { "content-type": type });
  expect((await answer("application/MERGE-PATCH+json")).json.code).toBe(415);
  expect((await answer("application/merge-patch+json; charset=utf-8")).status).toBe(200);
});

test("what a merge patch touches is read in the order of its keys, as Go prints maps", async () => {
  await ask("POST", maps, { metadata: { name: "order" } });
  const { headers } = await ask("PATCH", `${maps}/order?dryRun=All`, { foo: 1, metadata: { bar: 2 } }, merge);
  expect(headers["warning"]).toEqual(['299 - "unknown field \\"foo\\""', '299 - "unknown field \\"metadata.bar\\""']);
});
