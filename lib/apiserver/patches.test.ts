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
const merge = { "content-type": "application/merge-patch+json" };
const template = { metadata: { labels: { app: "a" } }, spec: { containers: [{ name: "c", image: "i" }] } };
const deployment = (name: string, more: object = {}) => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name },
  spec: { paused: true, replicas: 0, selector: { matchLabels: { app: "a" } }, template },
  ...more,
});

test("answers 422 in upstream's words for a JSON patch whose test fails", async () => {
  await ask("POST", maps, { metadata: { name: "jp" }, data: { x: "1" } });
  const operations = [{ op: "test", path: "/data/x", value: "2" }];
  const failed = await ask("PATCH", `${maps}/jp`, operations, { "content-type": "application/json-patch+json" });
  expect(failed.json).toEqual({
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message: "the server rejected our request due to an error in our request",
    reason: "Invalid",
    details: {},
    code: 422,
  });
});

test("warns of or refuses what a strict decoder finds in a JSON patch", async () => {
  await ask("POST", maps, { metadata: { name: "members" }, data: { x: "1" } });
  const operations = [{ op: "add", path: "/data/y", value: "2", extra: true }];
  const json = { "content-type": "application/json-patch+json" };
  // As v1.37.2 answers (apiserver's patch.go, applyPatchToCurrentObject).
  const warned = await ask("PATCH", `${maps}/members`, operations, json);
  expect([warned.status, warned.headers["warning"]]).toEqual([
    200,
    ['299 - "json patch unknown field \\"[0].extra\\""'],
  ]);
  const { json: refused } = await ask("PATCH", `${maps}/members?fieldValidation=Strict`, operations, json);
  expect([refused.code, refused.reason, refused.details.causes.length]).toEqual([422, "Invalid", 1]);
  expect(refused.message).toMatch(
    /^ "" is invalid: patch: Invalid value: "\{.*\}": strict decoding error: json patch unknown field "\[0\]\.extra"$/,
  );
  expect(refused.details.causes[0]).toMatchObject({ reason: "FieldValueInvalid", field: "patch" });
  const ignored = await ask("PATCH", `${maps}/members?fieldValidation=Ignore`, operations, json);
  expect([ignored.status, ignored.headers["warning"]]).toEqual([200, undefined]);
});

// As v1.37.2 answers: a strategic merge compares values, the other patches their text.
test("rejects a fraction for an integer in a patch", async () => {
  await ask("POST", deployments, deployment("fractions"));
  const json = { "content-type": "application/json-patch+json" };
  const strategic = { "content-type": "application/strategic-merge-patch+json" };
  const answer = async (patch: string, type: Record<string, string>) => {
    const { status, json: body } = await ask("PATCH", `${deployments}/fractions?dryRun=All`, patch, type);
    return status === 200
      ? body.spec.replicas
      : [status, /number \S+ into \S+ struct field (\S+)/.exec(body.message)?.[1]];
  };
  const refused = [422, "DeploymentSpec.spec.replicas"];
  expect(await answer('{"spec":{"replicas":3.0}}', merge)).toEqual(refused);
  expect(await answer('[{"op":"replace","path":"/spec/replicas","value":3.0}]', json)).toEqual(refused);
  expect(await answer('[{"op":"add","path":"/spec","value":{"replicas":1e3}}]', json)).toEqual(refused);
  expect(await answer('{"spec":{"replicas":3.0}}', strategic)).toBe(3);
  expect(await answer('{"spec":{"replicas":3}}', merge)).toBe(3);
});

test("a patch cannot change an object's identity", async () => {
  await ask("POST", maps, { metadata: { name: "kept" } });
  // As v1.37.2 answers.
  for (const [patch, code] of [
    [{ kind: "Pod" }, 422],
    [{ apiVersion: "v2" }, 422],
    [{ metadata: { name: "other" } }, 400],
    [{ metadata: { namespace: "other" } }, 400],
    [{ data: { x: 5 } }, 422],
    [[], 400],
    [null, 400],
    ["x", 400],
  ]) {
    expect([patch, (await ask("PATCH", `${maps}/kept`, patch, merge)).json.code]).toEqual([patch, code]);
  }
  for (const [patch, code] of [
    [{ kind: "Pod", apiVersion: "v2" }, undefined],
    [null, undefined],
    [[], 400],
    [{ data: { x: 5 } }, 422],
  ]) {
    const strategic = { "content-type": "application/strategic-merge-patch+json" };
    expect([patch, (await ask("PATCH", `${maps}/kept`, patch, strategic)).json.code]).toEqual([patch, code]);
  }
  expect((await ask("PATCH", `${maps}/kept`, { metadata: { uid: "x" } }, merge)).json.code).toBe(422);
});
