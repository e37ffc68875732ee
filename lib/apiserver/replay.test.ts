import { expect, test } from "vitest";
import { configMaps } from "#api";
import { storageOf } from "#api/meta";
import { silentLog, systemClock } from "#base";
import { openCache, type Store } from "#store";
import { memoryStore } from "#store/memory";
import { bareServer, makes } from "./testing/bare-server.ts";

/* Watches that begin with a long past: what a client that reads slowly costs, and what becomes of it. */

interface Event {
  type: string;
  // biome-ignore lint/suspicious/noExplicitAny: events are looked into
  object: any;
}

/** A server over a cache with a small window, and without it for one over the store alone. */
async function cachedServer(cached = true) {
  const memory = memoryStore();
  // A driver may give fewer changes than are there.
  const store: Store = { ...memory, changes: (type, after, limit = 100) => memory.changes(type, after, limit) };
  const cache = await openCache({ store, type: storageOf(configMaps), clock: systemClock, window: 20 });
  const { get } = bareServer(store, {}, undefined, silentLog, cached ? { cache: async () => cache } : {});
  const server = (query: string) => get("/api/v1/namespaces/default/configmaps", query);
  return { store, cache, server };
}

const large = (name: string) => ({
  ...makes(name),
  body: (at: number) =>
    Buffer.from(
      `{"metadata":{"resourceVersion":"${at}","name":"${name}","namespace":"default"},"data":{"x":"${"x".repeat(4000)}"}}`,
    ),
});
const linesOf = (chunks: Uint8Array[]): Event[] =>
  Buffer.concat(chunks)
    .toString()
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Event);
const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => String(from + at));

test("sends a slow client a long replay page by page, and then the changes", async () => {
  const { server, store, cache } = await cachedServer();
  for (let at = 0; at < 60; at++) await store.commit(storageOf(configMaps), [large(`n${at}`)]);
  const response = await server("watch=true&resourceVersion=1");
  const body = (response.body as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
  const chunks: Uint8Array[] = [];
  const take = async () => {
    const { value } = await body.next();
    chunks.push(value!);
    // A page of events, and what the last of them has more.
    expect(value!.length).toBeLessThan(70_000);
    return linesOf(chunks).length;
  };
  const first = await take();
  expect(first).toBeLessThan(20);
  for (let at = 60; at < 200; at++) {
    await store.commit(storageOf(configMaps), [large(`n${at}`)]);
    if (at % 20 === 0) await take();
  }
  await cache.catchUp();
  while ((await take()) < 200);
  await store.commit(storageOf(configMaps), [{ ...large("n0"), type: "update", expected: 2 }]);
  await take();
  const events = linesOf(chunks);
  expect(events.map(({ object }) => object.metadata.resourceVersion)).toEqual(numbers(2, 202));
  expect(events.at(-1)).toMatchObject({ type: "MODIFIED", object: { metadata: { name: "n0" } } });
  await body.return?.();
  cache.close();
});

test.each([
  ["a cache", true],
  ["the store", false],
])(
  "with %s, a log that is compacted under a slow replay ends it with 410 after what came before",
  async (_, cached) => {
    const { server, store, cache } = await cachedServer(cached);
    const writes = Array.from({ length: 1200 }, (_unused, at) => large(`n${at}`));
    for (let at = 0; at < writes.length; at += 100)
      await store.commit(storageOf(configMaps), writes.slice(at, at + 100));
    await cache.catchUp();
    const response = await server("watch=true&resourceVersion=1");
    const body = (response.body as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
    const chunks = [(await body.next()).value!];
    await store.compact(storageOf(configMaps), 1201);
    for (let next = await body.next(); !next.done; next = await body.next()) chunks.push(next.value);
    const events = linesOf(chunks);
    const last = events.pop()!;
    expect(last).toMatchObject({ type: "ERROR", object: { code: 410, reason: "Expired" } });
    expect(events.length).toBeLessThan(1200);
    expect(events.map(({ object }) => object.metadata.resourceVersion)).toEqual(numbers(2, events.length + 1));
    cache.close();
  },
);

test("a watch that ends before its client has read the existing objects still delivers them all", async () => {
  const { server, store, cache } = await cachedServer();
  const writes = Array.from({ length: 100 }, (_unused, at) => large(`n${at}`));
  await store.commit(storageOf(configMaps), writes);
  await cache.catchUp();
  const query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=1";
  const response = await server(`watch=true&${query}`);
  const chunks: Uint8Array[] = [];
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    if (chunks.length === 0) await new Promise((resolve) => setTimeout(resolve, 1100));
    chunks.push(chunk);
  }
  const types = linesOf(chunks).map(({ type }) => type);
  expect(types).toEqual([...Array.from({ length: 100 }, () => "ADDED"), "BOOKMARK", "BOOKMARK"]);
  cache.close();
});
