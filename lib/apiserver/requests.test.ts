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

test("HEAD is answered as GET is; unknown methods are 405 with a Status", async () => {
  expect((await ask("HEAD", `${maps}/a`)).status).toBe(200);
  expect((await ask("HEAD", `${maps}/none`)).status).toBe(404);
  expect((await ask("HEAD", "/api")).status).toBe(200);
  for (const method of ["OPTIONS", "TRACE", "FOO"]) {
    expect((await ask(method, `${maps}/a`)).json).toMatchObject({
      kind: "Status",
      code: 405,
      reason: "MethodNotAllowed",
    });
  }
  expect((await ask("POST", `${maps}/a`, {})).json).toMatchObject({
    code: 405,
    message: 'create is not supported on resources of kind "configmaps"',
    details: { kind: "configmaps" },
  });
  expect((await ask("PUT", maps, {})).json.code).toBe(405);
  expect((await ask("PATCH", maps, {})).json.code).toBe(405);
  expect((await ask("POST", "/api/v1/configmaps", {})).json.code).toBe(405);
});

test("what has no place is a page that was not found", async () => {
  for (const path of [
    "/nothing",
    "/apis/nothing.io/v1/things",
    "/api/v1/nothings",
    "/api/v2/pods",
    `${maps}/a/status`,
    `${maps}/a/nothing`,
    "/api/v1/configmaps/a",
    "/api/v1/namespaces/default/nodes",
    "/apis/apps/v1/namespaces/default/deployments/a/scale/more",
  ]) {
    const { status, json, headers } = await ask("GET", path);
    expect([path, status, json]).toEqual([path, 404, "404 page not found\n"]);
    expect(headers).toMatchObject({ "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" });
  }
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
  expect(patch.json).toMatchObject({ code: 415, reason: "UnsupportedMediaType" });
  expect(patch.json.message).toContain(
    "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json",
  );
  const image = await ask("GET", `${maps}/a`, undefined, { accept: "image/png" });
  expect(image.json).toMatchObject({ code: 406, reason: "NotAcceptable" });
  expect(image.json.message).toContain(
    "only the following media types are accepted: application/json, application/yaml",
  );
  const refused = await ask("GET", `${maps}/a`, undefined, { accept: "application/json;q=0,image/png" });
  expect(refused.json.code).toBe(406);
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

test("protobuf alone is not given; where JSON will do it is taken", async () => {
  const both = await ask("GET", `${maps}/a`, undefined, {
    accept: "application/vnd.kubernetes.protobuf,application/json",
  });
  expect([both.status, both.headers["content-type"]]).toEqual([200, "application/json"]);
  const alone = await ask("GET", `${maps}/a`, undefined, { accept: "application/vnd.kubernetes.protobuf" });
  expect(alone.status).toBe(406);
  const table = await ask("GET", maps, undefined, {
    accept:
      "application/json;as=Table;v=v2;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
  });
  expect(table.json).toMatchObject({ kind: "Table", apiVersion: "meta.k8s.io/v1beta1" });
});

test("a body of another kind or version is refused, one that names none is taken for what the path says", async () => {
  const pod = await ask("POST", maps, { apiVersion: "v1", kind: "Pod", metadata: { name: "k" } });
  expect(pod.json).toMatchObject({ code: 400, reason: "BadRequest" });
  const version = await ask("POST", maps, { apiVersion: "v2", kind: "ConfigMap", metadata: { name: "k" } });
  expect(version.json).toMatchObject({
    code: 400,
    message: "the API version in the data (v2) does not match the expected API version (v1)",
  });
  for (const body of ["[]", "1", "null", '"x"', "{", ""]) {
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

test("/openapi/v2 is JSON, or protobuf for those who ask for it", async () => {
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
