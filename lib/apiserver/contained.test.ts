import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { configMaps } from "#api";
import { storageOf } from "#api/meta";
import { clientCertificates, masters } from "#auth";
import { type Log, silentLog, systemClock, systemRandom } from "#base";
import { MetricRegistry } from "#metrics";
import { Registry, Resources } from "#resources";
import { memoryStore } from "#store/memory";
import { ApiServer } from "./api-server.ts";
import { makes } from "./testing/bare-server.ts";

/*
 * Faults that are planted in a kind's own code cost one object, or one request that is about it, and are seen in the log
 * and in a metric.
 */

const path = "/api/v1/namespaces/default/configmaps";
const asTable = "application/json;as=Table;v=v1;g=meta.k8s.io";
const version = { major: "1", minor: "37", gitVersion: "v1.37.2", gitCommit: "", gitTreeState: "" };

let server: ApiServer;
let lines: string[];
let metrics: MetricRegistry;

/** A server of config maps whose kind has a planted fault. */
function start(planted: Partial<typeof configMaps>, store = memoryStore()): void {
  lines = [];
  metrics = new MetricRegistry();
  const write = (text: string, fields?: object) => void lines.push(`${text} ${JSON.stringify(fields)}`);
  const log: Log = { ...silentLog, error: write };
  const resources = new Resources({
    store,
    registry: new Registry([{ ...configMaps, ...planted } as never]),
    clock: systemClock,
    random: systemRandom,
    log,
    admission: [],
    metrics,
  });
  server = new ApiServer({
    resources,
    metrics,
    version: { ...version, buildDate: "", goVersion: "", compiler: "", platform: "" },
    authenticators: [clientCertificates],
    authorize: masters,
  });
}

async function send(method: string, at: string, body?: object, headers: Record<string, string> = {}) {
  const [where = "", query] = at.split("?");
  const response = await server.handle({
    method,
    path: where,
    query: new URLSearchParams(query),
    headers: { "content-type": "application/json", ...headers },
    body: async () => new TextEncoder().encode(body === undefined ? "" : JSON.stringify(body)),
    signal: AbortSignal.timeout(5000),
    peer: { certificate: { commonName: "admin", organizations: ["system:masters"] } },
  });
  const text = response.body instanceof Uint8Array ? new TextDecoder().decode(response.body) : "";
  return { ...response, json: text.startsWith("{") ? JSON.parse(text) : text };
}

const make = (name: string) => send("POST", path, { metadata: { name } });
const isCursed = (object: { metadata: { name?: string | undefined } }): boolean => object.metadata.name === "cursed";
const fail = (): never => {
  throw new Error("planted");
};
const counted = (place: string) =>
  new RegExp(`^skiff_apiserver_contained_failures_total\\{place="${place}"\\} 1$`, "m").test(metrics.text());

describe("a column that throws", () => {
  beforeEach(() => {
    const name = {
      name: "Name",
      type: "string",
      doc: "",
      value: ({ metadata }: never) => (metadata as { name: string }).name,
    };
    const cursed = {
      name: "Cursed",
      type: "string",
      doc: "",
      value: (object: never) => (isCursed(object) ? fail() : "fine"),
    };
    start({ columns: [name, cursed] as never });
  });

  test("costs its cell in a list", async () => {
    for (const name of ["cursed", "plain"]) expect((await make(name)).status).toBe(201);
    const { json } = await send("GET", path, undefined, { accept: asTable });
    expect(json.rows.map(({ cells }: { cells: string[] }) => cells)).toEqual([
      ["cursed", "<unknown>"],
      ["plain", "fine"],
    ]);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain("planted");
    expect(lines[0]).toContain("default/cursed");
    expect(counted("column")).toBe(true);
  });

  test("costs its cell in the answer to a write", async () => {
    const { status, json } = await send("POST", path, { metadata: { name: "cursed" } }, { accept: asTable });
    expect([status, json.rows[0].cells]).toEqual([201, ["cursed", "<unknown>"]]);
  });
});

describe("a watch whose selector or encoder throws", () => {
  afterEach(() => void vi.restoreAllMocks());

  test("passes the object over and continues", async () => {
    start({});
    const response = await send("GET", `${path}?watch=1&timeoutSeconds=5&labelSelector=a`);
    const events = (response.body as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
    const first = events.next();
    // The index of an object is what selectors look at.
    const labels = (at: object) => ({ metadata: { labels: { a: "1" }, ...at } });
    const own = Object.hasOwn;
    vi.spyOn(Object, "hasOwn").mockImplementation((object, key) => {
      if (key === "a" && (object as Record<string, unknown>)["cursed"]) fail();
      return own(object, key);
    });
    await send("POST", path, { metadata: { name: "cursed", labels: { a: "1", cursed: "1" } } });
    await send("POST", path, labels({ name: "plain" }));
    const text = new TextDecoder().decode((await first).value);
    expect(text).toContain('"name":"plain"');
    expect(text).not.toContain('"name":"cursed"');
    expect(counted("watch")).toBe(true);
    await events.return?.();
  });
});

test("defaults that throw on a stored object leave it as it is, and are reported once", async () => {
  const store = memoryStore();
  const kept = ["cursed", "plain"].map((name) => ({ ...makes(name), schema: "older" }));
  await store.commit(storageOf(configMaps), kept);
  start({ defaults: (object) => (isCursed(object) ? fail() : undefined) }, store);
  for (let count = 0; count < 2; count++) {
    expect((await send("GET", path)).json.items).toHaveLength(2);
    expect((await send("GET", `${path}/cursed`)).json.metadata.name).toBe("cursed");
  }
  expect(lines).toEqual([
    'a default failed on an object {"kind":"ConfigMap","object":"default/cursed","what":"older","error":"planted"}',
  ]);
  expect(counted("default")).toBe(true);
});

test("a hook that throws costs its request", async () => {
  start({ validate: (object) => (isCursed(object) ? fail() : []) });
  const { status, json } = await make("cursed");
  expect([status, json.reason]).toEqual([500, "InternalError"]);
  expect((await make("plain")).status).toBe(201);
  expect(lines.join("\n")).toContain("planted");
  expect(metrics.text()).toMatch(/^apiserver_request_total\{code="500",.*resource="configmaps".*\} 1$/m);
});
