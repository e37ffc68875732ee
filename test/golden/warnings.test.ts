import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openCluster, type TestCluster } from "#test/cluster";

/** A create, and what v1.37.2 answers to it: the status and the Warning headers, in their order. */
interface Row {
  path: string;
  status: number;
  body: { metadata: { name: string } };
  warnings: string[];
}
const rows = JSON.parse(readFileSync(join(import.meta.dirname, "warnings.json"), "utf8")) as Row[];

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await openCluster();
});
afterAll(() => cluster.close());

test.each(rows.map((row, index) => ({ ...row, title: `${index} ${row.path.split("?")[0]}` })))(
  "$title is warned of as upstream does",
  async ({ path, status, body, warnings }) => {
    const answer = await cluster.ask("POST", path, body);
    expect([answer.status, answer.headers["warning"] ?? []]).toEqual([status, warnings]);
  },
);

const merge = { "content-type": "application/merge-patch+json" };
const owner = { apiVersion: "v1", kind: "ConfigMap", name: "owner", uid: "u" };
const duplicates = (when: string, uids: string) =>
  `299 - ".metadata.ownerReferences contains duplicate entries${when}; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: ${uids}"`;

// Seen on v1.37.2: equal references alone are one; the same uid under another name is another reference.
test("an owner that is named twice is kept once, by every way of writing", async () => {
  const path = "/api/v1/namespaces/default/configmaps";
  // The garbage collector would take the object that the other name does not own.
  const cluster = await openCluster({ asleep: true });
  await cluster.ask("POST", "/api/v1/namespaces", { metadata: { name: "default" } });
  const made = await cluster.ask("POST", path, { metadata: { name: "owner" } });
  const mine = { ...owner, uid: made.json.metadata.uid };
  const other = { ...mine, name: "other" };
  const owned = await cluster.ask("POST", path, { metadata: { name: "owned", ownerReferences: [mine, mine, other] } });
  expect(owned.json.metadata.ownerReferences).toEqual([mine, other]);
  expect(owned.headers["warning"]).toEqual([duplicates("", mine.uid)]);
  const again = { metadata: { name: "owned", ownerReferences: [mine, mine] } };
  const put = await cluster.ask("PUT", `${path}/owned`, again);
  expect([put.json.metadata.ownerReferences, put.headers["warning"]]).toEqual([[mine], [duplicates("", mine.uid)]]);
  const patched = await cluster.ask("PATCH", `${path}/owned`, again, merge);
  const after = duplicates(" after mutating admission happens", mine.uid);
  expect([patched.json.metadata.ownerReferences, patched.headers["warning"]]).toEqual([[mine], [after]]);
  const added = await cluster.ask(
    "PATCH",
    `${path}/owned`,
    [{ op: "add", path: "/metadata/ownerReferences/-", value: mine }],
    { "content-type": "application/json-patch+json" },
  );
  expect([added.json.metadata.ownerReferences, added.headers["warning"]]).toEqual([[mine], [after]]);
  await cluster.close();
});

// Seen on v1.37.2.
test("all that is asked of Endpoints is answered with their deprecation", async () => {
  const path = "/api/v1/namespaces/default/endpoints";
  const warning = '299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"';
  for (const [method, at, body] of [
    ["GET", `${path}/none`, undefined],
    ["GET", path, undefined],
    ["DELETE", `${path}?labelSelector=x`, undefined],
    ["POST", path, { metadata: { name: "e" } }],
  ] as const) {
    expect([method, (await cluster.ask(method, at, body)).headers["warning"]]).toEqual([method, [warning]]);
  }
  const patched = await cluster.ask("PATCH", `${path}/e`, { foo: 1 }, merge);
  expect(patched.headers["warning"]).toEqual([warning, '299 - "unknown field \\"foo\\""']);
});

// Upstream's limits (apiserver, pkg/endpoints/filters/warning.go).
test("many warnings are cut short", async () => {
  const unknown = Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`${index}`.padEnd(300, "x"), 1]));
  const made = await cluster.ask("POST", "/api/v1/namespaces/default/configmaps?dryRun=All", {
    metadata: { name: "w" },
    ...unknown,
  });
  const warnings = made.headers["warning"] as string[];
  expect([warnings.length, warnings[0]!.length]).toEqual([16, '299 - ""'.length + 256 + 1]);
});
