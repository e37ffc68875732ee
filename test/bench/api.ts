import { load, percentile, report } from "./measure.ts";
import type { Wire } from "./wire.ts";

const clients = 32;
const objects = 5200;
const bodySize = 1024;
const path = "/api/v1/namespaces/bench/configmaps";
const table = "application/json;as=Table;v=v1;g=meta.k8s.io";

const padding = "x".repeat(bodySize - 250);
const body = (index: number) =>
  JSON.stringify({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: `bench-${index}`, labels: { app: "bench" } },
    data: { padding },
  });

/** Reads and writes of single objects and lists, over TLS with identity, authorization, admission and validation on. */
export async function benchApi(wire: Wire): Promise<void> {
  const params = { clients, objects, bytes: bodySize, tls: true };
  await wire.send(
    "POST",
    "/api/v1/namespaces",
    JSON.stringify({ apiVersion: "v1", kind: "Namespace", metadata: { name: "bench" } }),
  );
  const serial = await load(300, 1, (index) => wire.send("POST", path, body(100_000 + index)));
  report("create.serial", serial.rate, "1/s", { ...params, clients: 1, p50: percentile(serial.samples, 0.5) });
  await load(300, clients, (index) => wire.send("DELETE", `${path}/bench-${100_000 + index}`));
  const created = await load(objects, clients, (index) => wire.send("POST", path, body(index)));
  report("create", created.rate, "1/s", {
    ...params,
    p50: percentile(created.samples, 0.5),
    p99: percentile(created.samples, 0.99),
  });
  const got = await load(20_000, clients, (index) => wire.send("GET", `${path}/bench-${index % objects}`));
  report("get", got.rate, "1/s", { ...params, p50: percentile(got.samples, 0.5), p99: percentile(got.samples, 0.99) });
  const listed = await load(20, 1, () => wire.send("GET", path));
  report("list.json", percentile(listed.samples, 0.5), "ms", { objects, bytes: bodySize });
  const tables = await load(20, 1, () => wire.send("GET", path, undefined, { accept: table }));
  report("list.table", percentile(tables.samples, 0.5), "ms", { objects, bytes: bodySize });
  const pages = await load(5, 1, async () => {
    let token = "";
    do {
      const page = await wire.send("GET", `${path}?limit=500${token === "" ? "" : `&continue=${token}`}`, undefined, {
        accept: table,
      });
      token = (JSON.parse(page.body.toString()) as { metadata: { continue?: string } }).metadata.continue ?? "";
    } while (token !== "");
  });
  report("list.table.pages", percentile(pages.samples, 0.5), "ms", { objects, limit: 500 });
  const merge = { "content-type": "application/merge-patch+json" };
  const patched = await load(objects, clients, (index) =>
    wire.send(
      "PATCH",
      `${path}/bench-${index}`,
      JSON.stringify({ metadata: { labels: { round: String(index) } } }),
      merge,
    ),
  );
  report("patch.merge", patched.rate, "1/s", { ...params, p50: percentile(patched.samples, 0.5) });
  await benchWatch(wire);
  const deleted = await load(objects, clients, (index) => wire.send("DELETE", `${path}/bench-${index}`));
  report("delete", deleted.rate, "1/s", { ...params, p50: percentile(deleted.samples, 0.5) });
}

const watchers = 50;
const writes = 2000;

/** Each write is delivered to every watcher: events per second, and the time until the last watcher has an event. */
async function benchWatch(wire: Wire): Promise<void> {
  const { metadata } = JSON.parse((await wire.send("GET", `${path}?limit=1`)).body.toString()) as {
    metadata: { resourceVersion: string };
  };
  let events = 0;
  const arrivals = new Map<string, number>();
  const latencies: number[] = [];
  const sent = new Map<string, number>();
  const all = Promise.withResolvers<void>();
  const closers = await Promise.all(
    Array.from({ length: watchers }, (_, index) =>
      wire.watch(`${path}?watch=true&resourceVersion=${metadata.resourceVersion}`, (chunk) => {
        for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) events++;
        if (index === watchers - 1) {
          for (const [, stamp] of chunk.toString().matchAll(/"stamp":"(\d+)"/g)) {
            const from = sent.get(stamp!);
            if (from !== undefined && !arrivals.has(stamp!)) {
              arrivals.set(stamp!, performance.now());
              latencies.push(performance.now() - from);
            }
          }
        }
        if (events >= watchers * writes) all.resolve();
      }),
    ),
  );
  const merge = { "content-type": "application/merge-patch+json" };
  const started = performance.now();
  await load(writes, 16, (index) => {
    sent.set(String(index), performance.now());
    return wire.send(
      "PATCH",
      `${path}/bench-${index}`,
      JSON.stringify({ metadata: { labels: { stamp: String(index) } } }),
      merge,
    );
  });
  await Promise.race([all.promise, new Promise((resolve) => setTimeout(resolve, 30_000))]);
  const seconds = (performance.now() - started) / 1000;
  for (const close of closers) close();
  report("watch.fanout", events / seconds, "events/s", {
    watchers,
    writes,
    writers: 16,
    missed: watchers * writes - events,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
  });
}
