import { afterAll, beforeAll, expect, test } from "vitest";
import { catalog, configMaps } from "#api";
import { storageOf } from "#api/meta";
import { memoryStore } from "#store/memory";
import { openCluster, type TestCluster } from "#test/cluster";
import type { Limits } from "./server.ts";
import { bareServer, makes } from "./testing/bare-server.ts";

type Answer = Awaited<ReturnType<TestCluster["ask"]>>;

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await openCluster();
});
afterAll(() => cluster.close());

interface Event {
  type: string;
  // biome-ignore lint/suspicious/noExplicitAny: events are looked into
  object: any;
}

interface Watch {
  answer: Answer;
  /** The next events. */
  next(count: number): Promise<Event[]>;
  /** All that come until the server ends the watch. */
  rest(): Promise<Event[]>;
  close(): Promise<void>;
}

async function watch(path: string, query: string, accept = "application/json"): Promise<Watch> {
  const answer = await cluster.ask("GET", `${path}?watch=true&${query}`, undefined, { accept });
  if (answer.body instanceof Uint8Array) throw new Error(JSON.stringify(answer.json));
  const chunks = answer.body[Symbol.asyncIterator]();
  const events: Event[] = [];
  const more = async (): Promise<boolean> => {
    const { value, done } = await chunks.next();
    if (done) return false;
    const lines = new TextDecoder().decode(value).trim().split("\n");
    events.push(...lines.map((line) => JSON.parse(line) as Event));
    return true;
  };
  return {
    answer,
    async next(count) {
      while (events.length < count) if (!(await more())) throw new Error(`the watch ended after ${events.length}`);
      return events.splice(0, count);
    },
    async rest() {
      while (await more());
      return events.splice(0);
    },
    close: async () => void (await chunks.return?.()),
  };
}

function openServer(limits: Partial<Limits>) {
  const store = memoryStore();
  const { get } = bareServer(store, limits);
  const ask = (query: string, signal?: AbortSignal) =>
    get("/api/v1/namespaces/default/configmaps", query, signal ? { signal } : {});
  return { store, ask };
}

let count = 0;
/** A namespace's collection of its own for each test. */
async function collection(): Promise<string> {
  const name = `n${++count}`;
  await cluster.ask("POST", "/api/v1/namespaces", { metadata: { name } });
  await cluster.until(async () => {
    const { json } = await cluster.ask("GET", `/api/v1/namespaces/${name}/configmaps`);
    return json.items.length === 1;
  });
  return `/api/v1/namespaces/${name}/configmaps`;
}
const own = "labelSelector=mine";
const config = (name: string, more: object = {}) => ({ metadata: { name, labels: { mine: "1", ...more } } });
const merge = { "content-type": "application/merge-patch+json" };
const relabel = (path: string, labels: object) => cluster.ask("PATCH", path, { metadata: { labels } }, merge);
const revisionOf = ({ json }: Answer): string => json.metadata.resourceVersion;
const seen = (events: Event[]) =>
  events.map(({ type, object }) => [type, object.metadata.name, object.metadata.resourceVersion]);

test("continues a watch from a revision, without duplicates or gaps", async () => {
  const path = await collection();
  const first = await cluster.ask("POST", path, config("a"));
  const second = await cluster.ask("POST", path, config("b"));
  const third = await relabel(`${path}/b`, { x: "1" });
  const open = await watch(path, `resourceVersion=${revisionOf(first)}&${own}`);
  expect(seen(await open.next(2))).toEqual([
    ["ADDED", "b", revisionOf(second)],
    ["MODIFIED", "b", revisionOf(third)],
  ]);
  await cluster.ask("DELETE", `${path}/b`);
  const [gone] = await open.next(1);
  expect(gone!.type).toBe("DELETED");
  // The deletion has a revision of its own, and the event carries it.
  expect(Number(gone!.object.metadata.resourceVersion)).toBeGreaterThan(Number(revisionOf(third)));
  await open.close();
});

test("reports a revision that is too old by an ERROR event in an answer with 200", async () => {
  const { ask, store } = openServer({});
  const type = storageOf(configMaps);
  for (const name of ["a", "b", "c"]) await store.commit(type, [makes(name)]);
  await store.compact(type, 3);
  const response = await ask("watch=true&resourceVersion=1");
  expect(response.status).toBe(200);
  const chunks: Uint8Array[] = [];
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) chunks.push(chunk);
  expect(JSON.parse(Buffer.concat(chunks).toString())).toEqual({
    type: "ERROR",
    object: {
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message: "too old resource version: 1 (3)",
      reason: "Expired",
      code: 410,
    },
  });
});

test("objects enter and leave a selection as ADDED and DELETED, at the revision of the change", async () => {
  const path = await collection();
  const start = revisionOf(await cluster.ask("GET", path));
  const open = await watch(path, `resourceVersion=${start}&labelSelector=in%3Dyes`);
  const outside = await cluster.ask("POST", path, config("a"));
  const entered = await relabel(`${path}/a`, { in: "yes" });
  const within = await relabel(`${path}/a`, { other: "1" });
  const left = await relabel(`${path}/a`, { in: "no" });
  await relabel(`${path}/a`, { other: "2" });
  const back = await relabel(`${path}/a`, { in: "yes" });
  const events = await open.next(4);
  expect(seen(events)).toEqual([
    ["ADDED", "a", revisionOf(entered)],
    ["MODIFIED", "a", revisionOf(within)],
    ["DELETED", "a", revisionOf(left)],
    ["ADDED", "a", revisionOf(back)],
  ]);
  expect(events[2]!.object.metadata.labels).toMatchObject({ in: "yes" });
  expect(outside.status).toBe(201);
  await open.close();
});

test("WatchList: sends the existing objects, a marked bookmark, then changes", async () => {
  const path = await collection();
  await cluster.ask("POST", path, config("b"));
  await cluster.ask("POST", path, config("a"));
  const query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
  const open = await watch(path, `${query}&${own}`);
  const events = await open.next(3);
  expect(events.map(({ type }) => type)).toEqual(["ADDED", "ADDED", "BOOKMARK"]);
  const list = await cluster.ask("GET", path);
  expect(events[2]).toEqual({
    type: "BOOKMARK",
    object: {
      kind: "ConfigMap",
      apiVersion: "v1",
      metadata: { resourceVersion: revisionOf(list), annotations: { "k8s.io/initial-events-end": "true" } },
    },
  });
  await relabel(`${path}/a`, { x: "1" });
  expect((await open.next(1))[0]!.type).toBe("MODIFIED");
  await open.close();
});

test("a watch without a revision begins with the existing objects; a watch from the current revision does not", async () => {
  const path = await collection();
  await cluster.ask("POST", path, config("a"));
  for (const query of ["", "resourceVersion=0", "resourceVersion="]) {
    const open = await watch(path, `${own}&${query}`);
    expect((await open.next(1))[0]).toMatchObject({ type: "ADDED", object: { metadata: { name: "a" } } });
    await open.close();
  }
  const open = await watch(path, `${own}&sendInitialEvents=false&resourceVersionMatch=NotOlderThan`);
  await relabel(`${path}/a`, { x: "1" });
  expect((await open.next(1))[0]!.type).toBe("MODIFIED");
  await open.close();
});

test("the list parameters of a watch are checked", async () => {
  const path = await collection();
  const refused = async (query: string) => (await cluster.ask("GET", `${path}?watch=1&${query}`)).json;
  expect(await refused("sendInitialEvents=true")).toEqual({
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message:
      'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
    reason: "Invalid",
    details: {
      group: "meta.k8s.io",
      kind: "ListOptions",
      causes: [
        {
          reason: "FieldValueForbidden",
          message: "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
          field: "resourceVersionMatch",
        },
      ],
    },
    code: 422,
  });
  const causes = (await refused("resourceVersionMatch=Exact&resourceVersion=1")).details.causes;
  expect(causes.map(({ message }: { message: string }) => message)).toEqual([
    "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
    'Unsupported value: "Exact": supported values: "NotOlderThan"',
  ]);
});

test("waits for a future revision, and sends no bookmark before it", async () => {
  const path = await collection();
  const now = Number(revisionOf(await cluster.ask("GET", path)));
  const ahead = await watch(path, `resourceVersion=${now + 1}&allowWatchBookmarks=true&timeoutSeconds=1`);
  await cluster.pass(1000);
  expect(await ahead.rest()).toEqual([]);
  const open = await watch(path, `resourceVersion=${now + 1}&${own}`);
  await cluster.ask("POST", path, config("a"));
  const second = await cluster.ask("POST", path, config("b"));
  expect(seen(await open.next(1))).toEqual([["ADDED", "b", revisionOf(second)]]);
  await open.close();
});

test("ends a watch after timeoutSeconds, with a bookmark where bookmarks are requested", async () => {
  const path = await collection();
  const made = await cluster.ask("POST", path, config("a"));
  const start = revisionOf(made);
  const [plain, marked] = await Promise.all([
    watch(path, `resourceVersion=${start}&timeoutSeconds=1`),
    watch(path, `resourceVersion=${start}&timeoutSeconds=1&allowWatchBookmarks=1`),
  ]);
  const changed = await relabel(`${path}/a`, { x: "1" });
  await cluster.pass(1000);
  expect((await plain.rest()).map(({ type }) => type)).toEqual(["MODIFIED"]);
  expect(seen(await marked.rest())).toEqual([
    ["MODIFIED", "a", revisionOf(changed)],
    ["BOOKMARK", undefined, revisionOf(changed)],
  ]);
});

test("timeoutSeconds beyond any timer does not end the watch at once", async () => {
  const path = await collection();
  const open = await watch(
    path,
    `resourceVersion=${revisionOf(await cluster.ask("GET", path))}&timeoutSeconds=4000000`,
  );
  await cluster.pass(20);
  await cluster.ask("POST", path, config("a"));
  expect((await open.next(1))[0]!.type).toBe("ADDED");
  await open.close();
});

test("a watch as Table: columns with the first event alone", async () => {
  const path = await collection();
  await cluster.ask("POST", path, config("a"));
  const accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
  const open = await watch(path, own, accept);
  await relabel(`${path}/a`, { x: "1" });
  await cluster.ask("DELETE", `${path}/a`);
  const events = await open.next(3);
  expect(events.map(({ type, object }) => [type, object.kind, object.rows.length])).toEqual([
    ["ADDED", "Table", 1],
    ["MODIFIED", "Table", 1],
    ["DELETED", "Table", 1],
  ]);
  expect(events[0]!.object.columnDefinitions.map(({ name }: { name: string }) => name)).toEqual([
    "Name",
    "Data",
    "Age",
  ]);
  expect(events[1]!.object.columnDefinitions).toBeNull();
  expect(events[1]!.object.rows[0]).toMatchObject({
    object: { kind: "PartialObjectMetadata", metadata: { name: "a" } },
  });
  await open.close();
});

test("a watch as PartialObjectMetadata shows metadata and nothing else", async () => {
  const path = await collection();
  await cluster.ask("POST", path, { ...config("a"), data: { secret: "1" } });
  const open = await watch(path, own, "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io");
  const [event] = await open.next(1);
  expect(event!.object).toMatchObject({ kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1" });
  expect(Object.keys(event!.object)).toEqual(["kind", "apiVersion", "metadata"]);
  await open.close();
});

// Seen on v1.37.2: `?watch` on a named object is a plain GET; the older paths below /watch are watches still.
test("a watch of one object by its older path sees that object alone", async () => {
  const path = await collection();
  await cluster.ask("POST", path, config("a"));
  await cluster.ask("POST", path, config("ab"));
  expect((await cluster.ask("GET", `${path}/a?watch=true`)).json.kind).toBe("ConfigMap");
  const older = path.replace("/api/v1/", "/api/v1/watch/");
  const open = await watch(`${older}/a`, "");
  await relabel(`${path}/ab`, { x: "1" });
  await relabel(`${path}/a`, { x: "1" });
  expect((await open.next(2)).map(({ type, object }) => [type, object.metadata.name])).toEqual([
    ["ADDED", "a"],
    ["MODIFIED", "a"],
  ]);
  await open.close();
});

test("bookmarks of every kind can be shown as a Table", async () => {
  const query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
  const accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
  for (const kind of catalog) {
    if (kind.internal || (kind.verbs && !kind.verbs.includes("watch"))) continue;
    const root = kind.group === "" ? "/api/v1" : `/apis/${kind.group}/${kind.version}`;
    const open = await watch(`${root}/${kind.plural}`, `${query}&labelSelector=nothing`, accept);
    const [event] = await open.next(1);
    expect([kind.kind, event!.type, event!.object.rows[0].object.metadata.annotations]).toEqual([
      kind.kind,
      "BOOKMARK",
      { "k8s.io/initial-events-end": "true" },
    ]);
    await open.close();
  }
});

test("frees a watch that is never read when its body is returned or its client disconnects", async () => {
  const { ask } = openServer({ watches: 1 });
  const gone = new AbortController();
  const first = await ask("watch=true", gone.signal);
  expect(first.status).toBe(200);
  expect((await ask("watch=true")).status).toBe(429);
  await (first.body as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]().return?.();
  expect((await ask("watch=true", gone.signal)).status).toBe(200);
  gone.abort();
  expect((await ask("watch=true")).status).toBe(200);
});

test("a Table of WatchList has its columns with the first object, not with the bookmark behind it", async () => {
  const path = await collection();
  await cluster.ask("POST", path, config("a"));
  const query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
  const open = await watch(path, `${query}&${own}`, "application/json;as=Table;v=v1;g=meta.k8s.io");
  const events = await open.next(2);
  expect(events.map(({ type, object }) => [type, object.columnDefinitions !== null])).toEqual([
    ["ADDED", true],
    ["BOOKMARK", false],
  ]);
  await open.close();
});
