import { expect, test } from "vitest";
import { silentLog } from "#base";
import { memoryStore } from "#store/memory";
import { bareServer } from "./testing/bare-server.ts";

const open = () => bareServer(memoryStore());

const config = (name: string, more: object = {}) => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name },
  ...more,
});
const maps = "/api/v1/namespaces/default/configmaps";

test("creates, reads, updates, patches and deletes an object", async () => {
  const { ask } = open();
  const made = await ask("POST", maps, config("a", { data: { x: "1" } }));
  expect(made.status).toBe(201);
  expect(made.json).toMatchObject({
    kind: "ConfigMap",
    apiVersion: "v1",
    metadata: { name: "a", namespace: "default" },
  });
  const read = await ask("GET", `${maps}/a`);
  expect(read.json).toEqual(made.json);
  const changed = await ask("PUT", `${maps}/a`, { ...made.json, data: { x: "2" } });
  expect(changed.json.data).toEqual({ x: "2" });
  expect(Number(changed.json.metadata.resourceVersion)).toBeGreaterThan(Number(made.json.metadata.resourceVersion));
  const stale = await ask("PUT", `${maps}/a`, { ...made.json, data: { x: "3" } });
  expect(stale.json).toMatchObject({ code: 409, reason: "Conflict" });
  const patched = await ask(
    "PATCH",
    `${maps}/a`,
    { data: { y: "1", x: null } },
    { "content-type": "application/merge-patch+json" },
  );
  expect(patched.json.data).toEqual({ y: "1" });
  const same = await ask(
    "PATCH",
    `${maps}/a`,
    { data: { y: "1" } },
    { "content-type": "application/merge-patch+json" },
  );
  expect(same.json).toEqual(patched.json);
  const gone = await ask("DELETE", `${maps}/a`);
  expect(gone.json).toMatchObject({ kind: "Status", status: "Success", details: { name: "a", kind: "configmaps" } });
  expect((await ask("GET", `${maps}/a`)).json).toMatchObject({ code: 404, message: 'configmaps "a" not found' });
});

test("lists in chunks over one snapshot", async () => {
  const { ask } = open();
  for (const name of ["a", "b", "c"]) await ask("POST", maps, config(name));
  const first = await ask("GET", `${maps}?limit=2`);
  expect(first.json.items.map((item: { metadata: { name: string } }) => item.metadata.name)).toEqual(["a", "b"]);
  expect(first.json.metadata.remainingItemCount).toBe(1);
  await ask("POST", maps, config("d"));
  const rest = await ask("GET", `${maps}?limit=2&continue=${first.json.metadata.continue}`);
  expect(rest.json.items.map((item: { metadata: { name: string } }) => item.metadata.name)).toEqual(["c"]);
  expect(rest.json.metadata.resourceVersion).toBe(first.json.metadata.resourceVersion);
});

test("watches existing objects, then every change in order", async () => {
  const { ask } = open();
  await ask("POST", maps, config("a"));
  const watch = await ask(
    "GET",
    `${maps}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true`,
  );
  expect(watch.status).toBe(200);
  const chunks = (watch.body as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
  let text = "";
  const lines = async (count: number) => {
    while (text.split("\n").length <= count) text += new TextDecoder().decode((await chunks.next()).value);
    return text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { type: string; object: { metadata: { name?: string } } });
  };
  const initial = await lines(2);
  expect(initial.map(({ type }) => type)).toEqual(["ADDED", "BOOKMARK"]);
  expect(initial[1]!.object.metadata).toMatchObject({ annotations: { "k8s.io/initial-events-end": "true" } });
  await ask("PATCH", `${maps}/a`, { data: { x: "1" } }, { "content-type": "application/merge-patch+json" });
  await ask("DELETE", `${maps}/a`);
  const all = await lines(4);
  expect(all.map(({ type }) => type)).toEqual(["ADDED", "BOOKMARK", "MODIFIED", "DELETED"]);
  await chunks.return?.();
});

test("answers bad requests with a Status that names the fault", async () => {
  const { ask } = open();
  expect((await ask("POST", maps, "{")).json).toMatchObject({ code: 400, reason: "BadRequest" });
  expect((await ask("POST", maps, config("A_b"))).json).toMatchObject({
    code: 422,
    details: { causes: [{ field: "metadata.name" }] },
  });
  expect((await ask("POST", `${maps}?fieldValidation=Strict`, config("a", { zzz: 1 }))).json.message).toBe(
    'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "zzz"',
  );
  expect((await ask("GET", `${maps}?labelSelector=a%20b`)).json).toMatchObject({ code: 400 });
  expect(
    (await ask("POST", maps, `{"metadata":{"name":"a"},"data":${"[".repeat(10_000)}${"]".repeat(10_000)}}`)).json.code,
  ).toBe(400);
  expect((await ask("GET", "/apis/nothing/v1/things")).status).toBe(404);
});

test("answers 500 for a failure of the server, and logs its origin", async () => {
  const store = memoryStore();
  const lines: unknown[] = [];
  const log = { ...silentLog, error: (message: string, fields?: object) => lines.push({ message, ...fields }) };
  const { ask } = bareServer(
    { ...store, list: () => Promise.reject(new TypeError("x is not iterable")) },
    {},
    undefined,
    log,
  );
  const [broken, made] = await Promise.all([ask("GET", maps), ask("POST", maps, config("a"))]);
  expect([broken.status, broken.json.reason, made.status]).toEqual([500, "InternalError", 201]);
  expect(lines).toEqual([
    {
      message: "a request failed",
      method: "GET",
      path: maps,
      error: "x is not iterable",
      stack: expect.stringContaining("api-server.test.ts"),
    },
  ]);
  expect((await ask("GET", `${maps}/a`)).status).toBe(200);
});
