import { afterAll, beforeAll, expect, test } from "vitest";
import { openCluster, type TestCluster } from "#test/cluster";

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

test("a dry run answers as the write would and keeps nothing", async () => {
  const made = await ask("POST", `${maps}?dryRun=All`, { metadata: { name: "dry" } });
  expect([made.status, made.json.metadata.uid]).toEqual([201, expect.any(String)]);
  expect(made.json.metadata.resourceVersion).toBeUndefined();
  expect((await ask("GET", `${maps}/dry`)).status).toBe(404);
  const there = await ask("POST", maps, { metadata: { name: "dry" }, data: { x: "1" } });
  expect((await ask("POST", `${maps}?dryRun=All`, { metadata: { name: "dry" } })).json.reason).toBe("AlreadyExists");
  const put = await ask("PUT", `${maps}/dry?dryRun=All`, { ...there.json, data: { x: "2" } });
  expect([put.status, put.json.data]).toEqual([200, { x: "2" }]);
  const patched = await ask("PATCH", `${maps}/dry?dryRun=All`, { data: { x: "3" } }, merge);
  expect(patched.json.data).toEqual({ x: "3" });
  expect((await ask("GET", `${maps}/dry`)).json).toEqual(there.json);
  expect((await ask("PUT", `${leases}/dry?dryRun=All`, { metadata: { name: "dry" } })).status).toBe(201);
  expect((await ask("GET", `${leases}/dry`)).status).toBe(404);
  const wrong = await ask("POST", `${maps}?dryRun=Most`, { metadata: { name: "x" } });
  expect(wrong.json.message).toBe(
    'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Most"]: supported values: "All"',
  );
});

// Seen on v1.37.2: an empty value is no "All", and a list is refused for one wrong item (ValidateDryRun).
test.each([
  ["dryRun=", '[""]'],
  ["dryRun=All&dryRun=", '["All",""]'],
])("a write with ?%s is refused and keeps nothing", async (query, shown) => {
  const path = `${maps}/empty`;
  const expected = (kind: string) =>
    `${kind}.meta.k8s.io "" is invalid: dryRun: Unsupported value: ${shown}: supported values: "All"`;
  const made = await ask("POST", `${maps}?${query}`, { metadata: { name: "empty" } });
  expect([made.status, made.json.message]).toEqual([422, expected("CreateOptions")]);
  expect((await ask("GET", path)).status).toBe(404);
  await ask("POST", maps, { metadata: { name: "empty" } });
  const put = await ask("PUT", `${path}?${query}`, { metadata: { name: "empty" }, data: { x: "1" } });
  expect([put.status, put.json.message]).toEqual([422, expected("UpdateOptions")]);
  const patched = await ask("PATCH", `${path}?${query}`, { data: { x: "1" } }, merge);
  expect([patched.status, patched.json.message]).toEqual([422, expected("PatchOptions")]);
  const removed = await ask("DELETE", `${path}?${query}`);
  expect([removed.status, removed.json.message]).toEqual([422, expected("DeleteOptions")]);
  const { json } = await ask("GET", path);
  expect([json.data, json.metadata.deletionTimestamp]).toEqual([undefined, undefined]);
  await ask("DELETE", path);
});

// Follows ValidateCreateOptions, ValidatePatchOptions and the conversion of URL values of v1.37.2.
test("every option of a write is checked", async () => {
  const refusal = async (method: string, query: string) => {
    const body = { metadata: { name: "x" } };
    const { status, json } = await ask(method, `${maps}${method === "POST" ? "" : "/x"}?${query}`, body, merge);
    return [status, json.message];
  };
  expect((await ask("POST", `${maps}?fieldValidation=Some`, {})).json.message).toBe(
    'CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "Some": supported values: "", "Ignore", "Strict", "Warn"',
  );
  expect(await refusal("PATCH", "force=true")).toEqual([
    422,
    'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch',
  ]);
  expect((await ask("DELETE", `${maps}/x?gracePeriodSeconds=abc`)).json).toMatchObject({
    code: 400,
    message: 'strconv.ParseInt: parsing "abc": invalid syntax',
  });
  expect((await ask("DELETE", `${maps}/x?gracePeriodSeconds=99999999999999999999`)).json.message).toBe(
    'strconv.ParseInt: parsing "99999999999999999999": value out of range',
  );
});

test("a dry run of scale, status, binding and services keeps nothing", async () => {
  await ask("POST", deployments, deployment("d"));
  const scaled = await ask("PATCH", `${deployments}/d/scale?dryRun=All`, { spec: { replicas: 5 } }, merge);
  expect(scaled.json).toMatchObject({ kind: "Scale", apiVersion: "autoscaling/v1", spec: { replicas: 5 } });
  await ask("PATCH", `${deployments}/d/status?dryRun=All`, { status: { collisionCount: 5 } }, merge);
  const after = (await ask("GET", `${deployments}/d`)).json;
  expect([after.spec.replicas, after.status?.collisionCount]).toEqual([0, undefined]);
  const services = "/api/v1/namespaces/default/services";
  const service = { metadata: { name: "dry" }, spec: { type: "NodePort", ports: [{ port: 80 }] } };
  const made = await ask("POST", `${services}?dryRun=All`, service);
  expect(made.status).toBe(201);
  expect((await ask("GET", `${services}/dry`)).status).toBe(404);
  const address = `/apis/networking.k8s.io/v1/ipaddresses/${made.json.spec.clusterIP}`;
  expect((await ask("GET", address)).status).toBe(404);
  await ask("DELETE", `${deployments}/d`);
});

test("refuses, warns of or ignores unknown and duplicate members by fieldValidation", async () => {
  const body = '{"metadata":{"name":"f","zzz":1},"data":{"a":"1"},"data":{"a":"2"},"yyy":{}}';
  const strict = await ask("POST", `${maps}?fieldValidation=Strict`, body);
  expect(strict.json).toMatchObject({
    code: 400,
    message:
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "metadata.zzz", duplicate field "data", unknown field "yyy"',
  });
  const warned = await ask("POST", `${maps}?fieldValidation=Warn&dryRun=All`, body);
  expect([warned.status, warned.headers["warning"]]).toEqual([
    201,
    [
      '299 - "unknown field \\"metadata.zzz\\""',
      '299 - "duplicate field \\"data\\""',
      '299 - "unknown field \\"yyy\\""',
    ],
  ]);
  const ignored = await ask("POST", `${maps}?fieldValidation=Ignore&dryRun=All`, body);
  expect([ignored.status, ignored.headers["warning"], ignored.json.data]).toEqual([201, undefined, { a: "2" }]);
});
