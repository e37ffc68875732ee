import { text as readAll } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openCluster, type TestCluster } from "#test/cluster";

let cluster: TestCluster;
let ask: TestCluster["ask"];
beforeAll(async () => {
  cluster = await openCluster();
  ({ ask } = cluster);
  await ask("POST", maps, { metadata: { name: "a" }, data: { x: "1" } });
});
afterAll(() => cluster.close());

const maps = "/api/v1/namespaces/default/configmaps";

const notAllowed = {
  kind: "Status",
  apiVersion: "v1",
  metadata: {},
  status: "Failure",
  message: "the server does not allow this method on the requested resource",
  reason: "MethodNotAllowed",
  details: {},
  code: 405,
};

// Seen on v1.37.2.
test.each([
  ["HEAD", maps],
  ["HEAD", `${maps}/a`],
  ["HEAD", "/api"],
  ["POST", "/api"],
  ["DELETE", "/version"],
  ["OPTIONS", maps],
  ["TRACE", `${maps}/a`],
  ["FOO", `${maps}/a`],
  ["POST", `${maps}/a`],
  ["PUT", maps],
  ["PATCH", maps],
  ["POST", "/api/v1/configmaps"],
  ["DELETE", "/api/v1/configmaps"],
  ["POST", "/api/v1/namespaces/default/pods/x/status"],
  ["GET", "/api/v1/namespaces/default/pods/x/binding"],
  ["GET", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"],
])("%s %s is not allowed", async (method, path) => {
  expect((await ask(method, path)).json).toEqual(notAllowed);
});

// Seen on v1.37.2: text beyond the groups that are served, a Status within.
test("what has no place is not found", async () => {
  for (const path of [
    "/nothing",
    "/apis/nothing.io/v1/things",
    "/apis/nothing.io",
    "//api/v1/namespaces",
    "/healthz/",
  ]) {
    const { status, json, headers } = await ask("GET", path);
    expect([path, status, json]).toEqual([path, 404, "404 page not found\n"]);
    expect(headers).toMatchObject({ "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" });
  }
  for (const path of [
    "/api/v1/nothings",
    "/api/v2/pods",
    "/api/v2",
    "/apis/apps/v2",
    `${maps}/a/status`,
    `${maps}/a/nothing`,
    `${maps}//a`,
    "/api/v1//namespaces",
    "/api//v1/namespaces",
    "/api/v1/configmaps/a",
    "/api/v1/namespaces/default/nodes",
    "/apis/apps/v1/namespaces/default/deployments/a/scale/more",
    "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews/x",
  ]) {
    const { json } = await ask("GET", path);
    const message = "the server could not find the requested resource";
    expect([path, json]).toEqual([path, { ...notAllowed, message, reason: "NotFound", code: 404 }]);
  }
});

// Seen on v1.37.2: fabric8 and others build paths with an empty namespace.
test("reads an empty namespace as all namespaces for lists and watches", async () => {
  const all = await ask("GET", "/api/v1/namespaces//configmaps");
  expect([all.status, all.json.items.length]).toEqual([
    200,
    (await ask("GET", "/api/v1/configmaps")).json.items.length,
  ]);
  for (const [method, path] of [
    ["GET", "/a"],
    ["DELETE", ""],
  ] as const) {
    const { status, json } = await ask(method, `/api/v1/namespaces//configmaps${path}`);
    expect([status, json.message]).toEqual([400, "Namespace parameter required."]);
  }
  for (const path of [`${maps}/`, `${maps}/a/`, "/api/v1/namespaces/", "/apis/apps/v1/", "/apis/apps/", "/version/"]) {
    expect([path, (await ask("GET", path)).status]).toEqual([path, 200]);
  }
});

test("a path that cannot be decoded is no path", async () => {
  for (const path of [`${maps}/%`, `${maps}/%zz`, `${maps}/a%2`]) {
    const answer = await ask("GET", path);
    expect([answer.status, answer.json]).toEqual([400, "400 Bad Request"]);
  }
});

test("/ lists the paths; each check of health has one", async () => {
  const { paths } = (await ask("GET", "/")).json;
  expect(paths).toEqual([...paths].sort());
  for (const path of ["/api/v1", "/apis/apps/v1", "/healthz/etcd", "/openapi/v3", "/version"]) {
    expect(paths).toContain(path);
  }
  for (const path of paths.filter((path: string) => /^\/(healthz|livez|readyz)/.test(path))) {
    expect([path, (await ask("GET", path)).json]).toEqual([path, "ok"]);
  }
});

test("lists the health checks with `verbose`", async () => {
  const response = await cluster.plane.server.handle({
    method: "GET",
    path: "/healthz",
    query: new URLSearchParams("verbose&exclude=log"),
    headers: {},
    body: async () => new Uint8Array(),
    signal: new AbortController().signal,
  });
  expect(new TextDecoder().decode(response.body as Uint8Array)).toBe(
    "[+]ping ok\n[+]log excluded: ok\n[+]etcd ok\nhealthz check passed\n",
  );
});

test("answers errors in YAML to a client that accepts YAML", async () => {
  const { status, headers, body } = await ask("GET", `${maps}/none`, undefined, { accept: "application/yaml" });
  expect([status, headers["content-type"]]).toEqual([404, "application/yaml"]);
  expect(await readAll(body as AsyncIterable<Uint8Array>)).toMatch(/^reason: NotFound$/m);
  const table = await ask("GET", `${maps}/none`, undefined, { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" });
  expect(table.json).toMatchObject({ kind: "Status", code: 404 });
});

// Seen on v1.37.2.
test("redirects an OpenAPI document with another hash to the current one", async () => {
  const { headers } = await ask("GET", "/openapi/v3/api/v1");
  const url = `/openapi/v3/api/v1?hash=${JSON.parse(headers["etag"] as string)}`;
  const old = await ask("GET", "/openapi/v3/api/v1?hash=ABC");
  expect([old.status, old.headers["location"]]).toEqual([301, url]);
  expect((await ask("GET", url)).headers["cache-control"]).toBe("public, immutable");
  expect(headers["cache-control"]).toBeUndefined();
});

// Seen on v1.37.2.
test("a warning is sent with a refusal too", async () => {
  await ask("POST", maps, { metadata: { name: "taken" } });
  const { status, headers } = await ask("POST", maps, { metadata: { name: "taken" }, foo: 1 });
  expect([status, headers["warning"]]).toEqual([409, ['299 - "unknown field \\"foo\\""']]);
});

test("media types: what cannot be read is 415, what cannot be given 406, both with what can", async () => {
  const html = { "content-type": "text/html" };
  expect((await ask("POST", maps, "<p>", html)).json).toEqual({
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message:
      "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf",
    reason: "UnsupportedMediaType",
    code: 415,
  });
  const patch = await ask("PATCH", `${maps}/a`, {}, { "content-type": "application/json" });
  expect(patch.json).toMatchObject({
    code: 415,
    reason: "UnsupportedMediaType",
    message: "415: Unsupported Media Type",
  });
  const image = await ask("GET", `${maps}/a`, undefined, { accept: "image/png" });
  expect(image.json).toMatchObject({ code: 406, reason: "NotAcceptable" });
  expect(image.json.message).toBe(
    "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, application/vnd.kubernetes.protobuf",
  );
  // Seen on v1.37.2, in spite of the HTTP specification.
  expect((await ask("GET", `${maps}/a`, undefined, { accept: "application/json;q=0,image/png" })).status).toBe(200);
  expect((await ask("GET", `${maps}/a`, undefined, { accept: "application/*" })).status).toBe(406);
  expect((await ask("GET", `${maps}/a`, undefined, { accept: "application/json;v=v1" })).status).toBe(406);
  const apply = await ask("PATCH", `${maps}/a`, "{}", { "content-type": "application/apply-patch+yaml" });
  expect(apply.json).toMatchObject({ code: 501, reason: "NotImplemented" });
});

test("bodies without a Content-Type are JSON; YAML is read and written", async () => {
  const bare = await ask("PUT", `${maps}/a`, { metadata: { name: "a" }, data: { x: "2" } }, { "content-type": "" });
  expect([bare.status, bare.json.data]).toEqual([200, { x: "2" }]);
  const text = "metadata:\n  name: written\ndata:\n  n: '1'\n";
  const made = await ask("POST", maps, text, { "content-type": "application/yaml", accept: "application/yaml" });
  expect([made.status, made.headers["content-type"]]).toEqual([201, "application/yaml"]);
  expect(await readAll(made.body as AsyncIterable<Uint8Array>)).toMatch(/^kind: ConfigMap$/m);
});

test("where JSON will do as well as protobuf it is taken", async () => {
  const both = await ask("GET", `${maps}/a`, undefined, {
    accept: "application/vnd.kubernetes.protobuf,application/json",
  });
  expect([both.status, both.headers["content-type"]]).toEqual([200, "application/json"]);
  const table = await ask("GET", maps, undefined, {
    accept:
      "application/json;as=Table;v=v2;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
  });
  expect(table.json).toMatchObject({ kind: "Table", apiVersion: "meta.k8s.io/v1beta1" });
});

test("refuses a body of another kind or version, and accepts one that names none", async () => {
  const pod = await ask("POST", maps, { apiVersion: "v1", kind: "Pod", metadata: { name: "k" } });
  expect(pod.json).toMatchObject({ code: 400, reason: "BadRequest" });
  const version = await ask("POST", maps, { apiVersion: "v2", kind: "ConfigMap", metadata: { name: "k" } });
  expect(version.json).toMatchObject({
    code: 400,
    message: "the API version in the data (v2) does not match the expected API version (v1)",
  });
  for (const body of ["[]", "1", '"x"', "{", ""]) {
    expect([body, (await ask("POST", maps, body)).json.code]).toEqual([body, 400]);
  }
  expect((await ask("POST", maps, { metadata: { name: "bare" } })).status).toBe(201);
});

test("reading as Table or as metadata works for one object too", async () => {
  const table = await ask("GET", `${maps}/a`, undefined, { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" });
  expect(table.json).toMatchObject({ kind: "Table", rows: [{ cells: ["a", 1, expect.any(String)] }] });
  const accept = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
  const metadata = await ask("GET", `${maps}/a`, undefined, { accept });
  expect(Object.keys(metadata.json)).toEqual(["kind", "apiVersion", "metadata"]);
});

test("answers /openapi/v2 in JSON, or in protobuf where the client accepts it", async () => {
  const { json } = await ask("GET", "/openapi/v2");
  expect(json.swagger).toBe("2.0");
  const pod = json.definitions["io.k8s.api.core.v1.Pod"];
  expect(pod["x-kubernetes-group-version-kind"]).toEqual([{ group: "", version: "v1", kind: "Pod" }]);
  expect(pod.properties.spec.$ref).toBe("#/definitions/io.k8s.api.core.v1.PodSpec");
  expect(JSON.stringify(json)).not.toMatch(/#\/components|"oneOf"|"allOf"/);
  const accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
  const { headers, body } = await ask("GET", "/openapi/v2", undefined, { accept });
  expect(headers["content-type"]).toBe("application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
  expect(Buffer.from(body as Uint8Array).subarray(0, 5)).toEqual(Buffer.from([0x0a, 3, ...Buffer.from("2.0")]));
});

// Seen on v1.37.2.
test("metadata alone has one name for objects and another for lists", async () => {
  const metadata = (list: string) => ({
    accept: `application/json;as=PartialObjectMetadata${list};v=v1;g=meta.k8s.io`,
  });
  expect((await ask("GET", maps, undefined, metadata("List"))).json.kind).toBe("PartialObjectMetadataList");
  expect((await ask("GET", maps, undefined, metadata(""))).json).toMatchObject({
    code: 406,
    message: "you requested PartialObjectMetadata, but the requested object is a list (*core.ConfigMapList)",
  });
  expect((await ask("GET", `${maps}/a`, undefined, metadata("List"))).json).toMatchObject({
    code: 406,
    message: "you requested PartialObjectMetadataList, but the requested object is not a list (*core.ConfigMap)",
  });
});

// Seen on v1.37.2.
test.each([
  ["?timeout=foo", 'invalid timeout specified in the request URL - time: invalid duration "foo"'],
  ["?timeout=10", 'invalid timeout specified in the request URL - time: missing unit in duration "10"'],
  [
    "?resourceVersion=abc",
    'invalid resource version: resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc": invalid syntax',
  ],
  [
    `?resourceVersion=${"9".repeat(21)}`,
    `invalid resource version: resourceVersion: Invalid value: "${"9".repeat(21)}": strconv.ParseUint: parsing "${"9".repeat(21)}": value out of range`,
  ],
  ["?limit=", 'strconv.ParseInt: parsing "": invalid syntax'],
  ["/a?export=true", "the export parameter, deprecated since v1.14, is no longer supported"],
  ["/..", "Name parameter invalid: \"..\": may not be '..'"],
  [
    `?continue=${Buffer.from('{"v":"v2"}').toString("base64url")}`,
    "invalid continue token: continue key is not valid: server does not recognize this encoded version v2",
  ],
])("GET %s is refused", async (rest, message) => {
  const { status, json } = await ask("GET", `${maps}${rest}`);
  expect([status, json.message]).toEqual([400, message]);
});

test("a timeout of a million digits is refused at once", async () => {
  const { status, json } = await ask("GET", `${maps}?timeout=${"1".repeat(1_000_000)}`);
  expect([status, json.message.slice(0, 60)]).toEqual([
    400,
    "invalid timeout specified in the request URL - time: missing",
  ]);
});

// Seen on v1.37.2: a token begins with the key that comes next, and rv 0 takes no limit.
test("continues a list after the key in the token", async () => {
  for (const name of ["page1", "page2", "page3"]) await ask("POST", maps, { metadata: { name, labels: { page: "" } } });
  const names = async (query: string) =>
    (await ask("GET", `${maps}?labelSelector=page&${query}`)).json.items.map(
      ({ metadata }: { metadata: { name: string } }) => metadata.name,
    );
  const token = Buffer.from('{"v":"meta.k8s.io/v1","rv":-1,"start":"page1\\u0000"}').toString("base64url");
  expect(await names(`continue=${token}`)).toEqual(["page2", "page3"]);
  expect(await names("limit=1&resourceVersion=0")).toEqual(["page1", "page2", "page3"]);
});

// Seen on v1.37.2.
test("rows carry only what there is", async () => {
  const accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
  const { status, json } = await ask("GET", `${maps}?includeObject=Foo`, undefined, { accept });
  expect([status, json.message]).toEqual([
    400,
    "Unable to convert to Table as requested: includeObject: Invalid value: \"Foo\": must be 'Metadata', 'Object', 'None', or empty",
  ]);
  const pods = "/api/v1/namespaces/default/pods";
  await ask("POST", pods, { metadata: { name: "done" }, spec: { containers: [{ name: "a", image: "a" }] } });
  const merge = { "content-type": "application/merge-patch+json" };
  await ask("PATCH", `${pods}/done/status`, { status: { phase: "Succeeded" } }, merge);
  const done = await ask("GET", `${pods}/done`, undefined, { accept });
  const message = "The pod has completed successfully.";
  expect(done.json.rows[0].conditions).toEqual([{ type: "Completed", status: "True", reason: "Succeeded", message }]);
});

// Seen on v1.37.2.
test("nothing that can be read is deleted unsafely", async () => {
  await ask("POST", maps, { metadata: { name: "readable" } });
  const path = `${maps}/readable?ignoreStoreReadErrorWithClusterBreakingPotential=true`;
  expect((await ask("DELETE", path)).json).toMatchObject({ code: 409, reason: "Conflict" });
  expect((await ask("GET", `${maps}/readable`)).status).toBe(200);
});

const many = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, at) => make(at));
const podWith = (spec: object, container: object = {}) => ({
  metadata: { name: "large" },
  spec: { containers: [{ name: "c", image: "i", ...container }], ...spec },
});
const pemText = Buffer.from("-----BEGIN A-----\n".repeat(40_000)).toString("base64");
const labels = (count: number) => Object.fromEntries(many(count, (index) => [`_${index}`, ""]));
const unknown = (count: number) => Object.fromEntries(many(count, (index) => [`z${index}`, 1]));

// Each of these ended the process, answered 500 or took minutes.
test.each<[string, number, () => object]>([
  ["pods", 201, () => podWith({}, { env: many(150_000, () => ({ name: "a" })) })],
  ["pods", 413, () => podWith({}, { env: many(150_000, () => ({ name: "" })) })],
  ["pods", 201, () => podWith({}, { ports: many(100_000, () => ({ containerPort: 1 })) })],
  ["pods", 201, () => podWith({ imagePullSecrets: many(150_000, () => ({ name: "" })) })],
  [
    "pods",
    201,
    () =>
      podWith({
        volumes: [{ name: "v", configMap: { name: "x", items: many(80_000, () => ({ key: "a", path: "a" })) } }],
      }),
  ],
  ["configmaps", 413, () => ({ metadata: { name: "large", labels: labels(150_000) } })],
  ["configmaps", 201, () => ({ metadata: { name: "large" }, ...unknown(150_000) })],
  [
    "secrets",
    201,
    () => ({ metadata: { name: "large" }, type: "kubernetes.io/tls", data: { "tls.crt": pemText, "tls.key": "" } }),
  ],
])("more in %s than a list of warnings has room for is answered with %i", async (plural, code, make) => {
  const path = `/api/v1/namespaces/default/${plural}?dryRun=All`;
  expect((await ask("POST", path, make())).status).toBe(code);
});
