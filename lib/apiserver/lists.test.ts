import { afterAll, beforeAll, expect, test } from "vitest";
import { configMaps } from "#api";
import { storageOf } from "#api/meta";
import { memoryStore } from "#store/memory";
import { bareServer, makes } from "./testing/bare-server.ts";

const path = "/api/v1/namespaces/default/configmaps";
const type = storageOf(configMaps);

function open() {
  const store = memoryStore();
  const { get } = bareServer(store);
  const ask = async (query: string, headers: Record<string, string> = {}, where = path) => {
    const response = await get(where, query, { headers });
    return { ...response, json: JSON.parse(new TextDecoder().decode(response.body as Uint8Array)) };
  };
  const make = (name: string, labels: Record<string, string> = {}) => store.commit(type, [makes(name, labels)]);
  return { store, ask, make };
}

// biome-ignore lint/suspicious/noExplicitAny: answers are looked into
const names = ({ json }: { json: any }): string[] =>
  json.items.map(({ metadata }: { metadata: { name: string } }) => metadata.name);

let server: ReturnType<typeof open>;
beforeAll(async () => {
  server = open();
  for (const name of ["a", "ab", "b", "c", "d"])
    await server.make(name, { odd: name === "a" || name === "c" ? "1" : "0" });
});
afterAll(() => server.store.close());

test("a list's revision is the collection's, whatever it shows", async () => {
  const head = String(await server.store.head(type));
  for (const query of ["", "resourceVersion=0", "resourceVersion=2", "labelSelector=none", "limit=1"]) {
    expect([query, (await server.ask(query)).json.metadata.resourceVersion]).toEqual([query, head]);
  }
});

test("resourceVersion N is answered with the newest; one to come is 504 after a wait", async () => {
  expect(names(await server.ask("resourceVersion=2&resourceVersionMatch=NotOlderThan"))).toHaveLength(5);
  const [late, one] = await Promise.all([
    server.ask("resourceVersion=99999999"),
    server.ask("resourceVersion=99999999", {}, `${path}/a`),
  ]);
  expect(one.json.reason).toBe("Timeout");
  expect(late.status).toBe(504);
  expect(late.headers["retry-after"]).toBe("1");
  expect(late.json).toEqual({
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message: "Timeout: Too large resource version: 99999999, current: 6",
    reason: "Timeout",
    details: {
      causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
      retryAfterSeconds: 1,
    },
    code: 504,
  });
});

test("Exact is the collection as it was at that revision", async () => {
  const then = await server.ask("resourceVersion=3&resourceVersionMatch=Exact");
  expect(names(then)).toEqual(["a", "ab"]);
  expect(then.json.metadata).toEqual({ resourceVersion: "3" });
});

test("follows upstream's rules of resourceVersionMatch", async () => {
  const said = async (query: string) => {
    const { status, json } = await server.ask(query);
    return [status, json.details.causes.map(({ message }: { message: string }) => message)];
  };
  expect(await said("resourceVersionMatch=Exact")).toEqual([
    422,
    ["Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"],
  ]);
  expect(await said("resourceVersionMatch=Exact&resourceVersion=0")).toEqual([
    422,
    ['Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"'],
  ]);
  expect(await said("resourceVersionMatch=Newer&resourceVersion=1")).toEqual([
    422,
    ['Unsupported value: "Newer": supported values: "Exact", "NotOlderThan", ""'],
  ]);
  expect(await said("sendInitialEvents=true")).toEqual([422, ["Forbidden: sendInitialEvents is forbidden for list"]]);
  expect((await said("resourceVersionMatch=NotOlderThan&resourceVersion=1&continue=x"))[1]).toEqual([
    "Forbidden: resourceVersionMatch is forbidden when continue is provided",
  ]);
});

test("pages are of one snapshot, and say how much is left unless something was selected", async () => {
  const { ask, make, store } = open();
  for (const name of ["a", "b", "c", "d", "e"]) await make(name);
  const first = await ask("limit=2");
  expect([names(first), first.json.metadata.remainingItemCount]).toEqual([["a", "b"], 3]);
  await make("bb");
  const token = encodeURIComponent(first.json.metadata.continue);
  const second = await ask(`limit=2&continue=${token}`);
  expect([names(second), second.json.metadata.resourceVersion]).toEqual([
    ["c", "d"],
    first.json.metadata.resourceVersion,
  ]);
  const last = await ask(`limit=2&continue=${encodeURIComponent(second.json.metadata.continue)}`);
  expect([names(last), last.json.metadata.continue]).toEqual([["e"], undefined]);
  const selected = await server.ask("limit=1&labelSelector=odd%3D1");
  expect(names(selected)).toEqual(["a"]);
  expect(selected.json.metadata.remainingItemCount).toBeUndefined();
  expect(names(await server.ask(`limit=1&labelSelector=odd%3D1&continue=${selected.json.metadata.continue}`))).toEqual([
    "c",
  ]);
  expect((await ask(`resourceVersion=3&continue=${token}`)).json).toMatchObject({
    code: 400,
    message: "specifying resource version is not allowed when using continue",
  });
  expect((await ask("continue=nonsense")).json.code).toBe(400);
  await store.close();
});

test("answers 410 for an expired snapshot, with a token that continues with the newest objects", async () => {
  const { ask, make, store } = open();
  for (const name of ["a", "b", "c"]) await make(name);
  const first = await ask("limit=1");
  await make("bb");
  await store.compact(type, await store.head(type));
  const late = await ask(`limit=1&continue=${first.json.metadata.continue}`);
  expect(late.json).toMatchObject({ code: 410, reason: "Expired", status: "Failure" });
  expect(late.json.message).toMatch(
    /^The provided continue parameter is too old to display a consistent list result\./,
  );
  const rest = await ask(`continue=${late.json.metadata.continue}`);
  expect(names(rest)).toEqual(["b", "bb", "c"]);
  const old = await ask("resourceVersion=2&resourceVersionMatch=Exact");
  expect(old.json).toMatchObject({ code: 410, message: "The resourceVersion for the provided list is too old." });
  await store.close();
});

test("a selection by name returns one object, not those with the name as a prefix", async () => {
  const found = await server.ask("limit=1&fieldSelector=metadata.name%3Da");
  expect([names(found), found.json.metadata.continue]).toEqual([["a"], undefined]);
  expect(names(await server.ask("fieldSelector=metadata.name%3Da,metadata.namespace%3Dother"))).toEqual([]);
  expect(names(await server.ask("fieldSelector=metadata.name%3Daa"))).toEqual([]);
  expect((await server.ask("fieldSelector=spec.a%3D1")).json).toEqual({
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message: '"spec.a" is not a known field selector: only "metadata.name", "metadata.namespace"',
    reason: "BadRequest",
    code: 400,
  });
});

test("a Table and a list of metadata are pages too", async () => {
  const page = await server.ask("limit=1", { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" });
  expect(page.json).toMatchObject({
    kind: "Table",
    apiVersion: "meta.k8s.io/v1",
    metadata: { resourceVersion: "6", remainingItemCount: 4 },
    rows: [{ cells: ["a", 0, expect.any(String)], object: { kind: "PartialObjectMetadata", metadata: { name: "a" } } }],
  });
  const whole = await server.ask("includeObject=Object", { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" });
  expect(whole.json.rows[0].object).toMatchObject({ kind: "ConfigMap", apiVersion: "v1" });
  const metadata = { accept: "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io" };
  expect((await server.ask("limit=1", metadata)).json).toMatchObject({
    kind: "PartialObjectMetadataList",
    apiVersion: "meta.k8s.io/v1",
    metadata: { remainingItemCount: 4 },
    items: [{ kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata: { name: "a" } }],
  });
});

// Seen on v1.37.2.
test.each([
  ["/apis/events.k8s.io/v1/events", "regarding.name=a", ""],
  ["/apis/events.k8s.io/v1/events", "type=a", ""],
  ["/apis/events.k8s.io/v1/events", "involvedObject.name=a", "field label not supported: involvedObject.name"],
  ["/apis/events.k8s.io/v1/events", "source=a", "field label not supported: source"],
  ["/api/v1/events", "source=a", ""],
  ["/api/v1/events", "regarding.name=a", "field label not supported: regarding.name"],
  [
    "/apis/apps/v1/replicasets",
    "status.replicas=0",
    '"status.replicas" is not a known field selector: only "metadata.name", "metadata.namespace"',
  ],
])("the labels of fields are those of the version that is asked: %s, %s", async (where, selector, message) => {
  const answer = await server.ask(`fieldSelector=${encodeURIComponent(selector)}`, {}, where);
  expect(answer.json.message ?? "").toBe(message);
});

test("refuses a continue token on a watch without a revision", async () => {
  expect((await server.ask("watch=1&continue=a")).json.details.causes).toEqual([
    {
      reason: "FieldValueForbidden",
      message: "Forbidden: resourceVersionMatch is forbidden when continue is provided",
      field: "resourceVersionMatch",
    },
  ]);
});
