import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { configMaps } from "#api";
import { type HttpClientOptions, httpClient } from "./index.ts";

type Answer = { status: number; headers?: Record<string, string>; body: unknown };
let closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing) close();
  closing = [];
});

/** A server that sends these answers in order. */
async function serve(answers: Answer[], more: Partial<HttpClientOptions> = {}) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const { signature } = request.headers;
    asked.push(`${request.method} ${request.url}${signature === undefined ? "" : ` ${signature}`}`);
    const { status, headers, body } = answers.shift() ?? { status: 500, body: {} };
    response
      .writeHead(status, { "content-type": "application/json", ...headers })
      .end(typeof body === "string" ? body : JSON.stringify(body));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const clock = {
    now: () => 0,
    timer(_milliseconds: number, run: () => void) {
      queueMicrotask(run);
      return { cancel: () => {} };
    },
  };
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = httpClient({ server: url, clock, ...more });
  closing.push(() => {
    client.close();
    server.close();
    server.closeAllConnections();
  });
  return { client, asked };
}

const name = { namespace: "default", name: "a" };
const path = "/api/v1/namespaces/default/configmaps";
const busy: Answer = {
  status: 429,
  headers: { "retry-after": "1" },
  body: { kind: "Status", reason: "TooManyRequests", code: 429 },
};

test("repeats a request to a busy server, a limited number of times", async () => {
  const { client, asked } = await serve([busy, busy, { status: 200, body: { metadata: { name: "a" } } }]);
  expect((await client.get(configMaps, name)).metadata.name).toBe("a");
  expect(asked).toHaveLength(3);
  const stubborn = await serve(Array.from({ length: 20 }, () => busy));
  await expect(stubborn.client.get(configMaps, name)).rejects.toMatchObject({ code: 429 });
  expect(stubborn.asked).toHaveLength(10);
});

test("throws an ApiError for every error answer", async () => {
  const status = { kind: "Status", message: "gone", reason: "NotFound", code: 404 };
  const { client } = await serve([
    { status: 404, body: status },
    { status: 502, body: "bad gateway" },
  ]);
  await expect(client.get(configMaps, name)).rejects.toMatchObject({ reason: "NotFound", message: "gone" });
  await expect(client.get(configMaps, name)).rejects.toMatchObject({ code: 502, message: "bad gateway" });
});

test("reads a list in chunks to its end", async () => {
  const page = (names: string[], token?: string): Answer => ({
    status: 200,
    body: {
      metadata: { resourceVersion: "7", ...(token ? { continue: token } : {}) },
      items: names.map((each) => ({ metadata: { name: each } })),
    },
  });
  const { client, asked } = await serve([page(["a", "b"], "next"), page(["c"])]);
  const { items, revision } = await client.list(configMaps, { namespace: "default" });
  expect([items.map(({ metadata }) => metadata.name), revision]).toEqual([["a", "b", "c"], "7"]);
  expect(asked).toEqual([`GET ${path}?limit=500`, `GET ${path}?limit=500&continue=next`]);
});

test("delivers watch events, and throws the error of an ERROR event", async () => {
  const lines = [
    { type: "ADDED", object: { metadata: { name: "a", resourceVersion: "1" } } },
    {
      type: "BOOKMARK",
      object: { metadata: { resourceVersion: "2", annotations: { "k8s.io/initial-events-end": "true" } } },
    },
    { type: "ERROR", object: { kind: "Status", code: 410, reason: "Expired", message: "too old" } },
  ];
  const { client } = await serve([{ status: 200, body: lines.map((line) => `${JSON.stringify(line)}\n`).join("") }]);
  const seen: string[] = [];
  const watch = async () => {
    for await (const event of client.watch(configMaps, { signal: AbortSignal.timeout(5000) })) {
      seen.push(event.type === "BOOKMARK" ? `${event.revision} ${event.initial}` : event.type);
    }
  };
  await expect(watch()).rejects.toMatchObject({ reason: "Expired" });
  expect(seen).toEqual(["ADDED", "2 true"]);
});

test("signs requests as they are sent, and sends a watch's timeout", async () => {
  const sign = async ({ method, url, body }: { method: string; url: URL; body: string }) => ({
    signature: `${method} ${url.search} ${body}`,
  });
  const { client, asked } = await serve(
    [
      { status: 200, body: {} },
      { status: 201, body: {} },
    ],
    { sign, watchSeconds: 2 },
  );
  const fields = [{ field: "metadata.name", equal: true, value: "a b+c" }];
  for await (const _ of client.watch(configMaps, { fields, revision: "7", signal: AbortSignal.timeout(5000) }));
  await client.create(configMaps, { metadata: name });
  const query =
    "?fieldSelector=metadata.name%3Da%20b%2Bc&watch=true&allowWatchBookmarks=true&timeoutSeconds=2&resourceVersion=7";
  const body = `{"apiVersion":"v1","kind":"ConfigMap","metadata":${JSON.stringify(name)}}`;
  expect(asked).toEqual([
    `GET /api/v1/configmaps${query} GET ${query}`,
    `POST ${path}?fieldValidation=Ignore POST ?fieldValidation=Ignore ${body}`,
  ]);
});
