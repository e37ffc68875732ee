import { expect, test } from "vitest";
import { cronJobs } from "#api";
import { storageOf } from "#api/meta";
import { schemaOf } from "#resources";
import { memoryStore } from "#store/memory";
import { bareServer } from "./testing/bare-server.ts";

const path = "/apis/batch/v1/namespaces/default/cronjobs";
const type = storageOf(cronJobs);
const older = "batch/v1/CronJob#00000000";

/** As a version wrote it that knew neither of suspension nor of concurrency policies. */
async function openOlder() {
  const store = memoryStore();
  const template = {
    spec: { template: { spec: { containers: [{ name: "c", image: "i" }], restartPolicy: "Never" } } },
  };
  const spec = JSON.stringify({ schedule: "0 0 * * *", jobTemplate: template });
  const metadata = '"name":"old","namespace":"default","uid":"u","creationTimestamp":"2020-01-01T00:00:00Z"';
  await store.commit(type, [
    {
      type: "create",
      key: "default/old",
      schema: older,
      index: { uid: "u" },
      body: (revision) => Buffer.from(`{"metadata":{"resourceVersion":"${revision}",${metadata}},"spec":${spec}}`),
    },
  ]);
  return { store, ...bareServer(store) };
}

const newer = { suspend: false, concurrencyPolicy: "Allow", successfulJobsHistoryLimit: 3, failedJobsHistoryLimit: 1 };

test("what an older schema has stored is served with the defaults of today, and stays as it is", async () => {
  const { store, ask, get } = await openOlder();
  const got = await ask("GET", `${path}/old`);
  expect(got.json).toMatchObject({ kind: "CronJob", metadata: { resourceVersion: "2" }, spec: newer });
  // Defaults deep inside, too.
  expect(got.json.spec.jobTemplate.spec.template.spec).toMatchObject({
    dnsPolicy: "ClusterFirst",
    containers: [{ terminationMessagePath: "/dev/termination-log" }],
  });
  expect((await ask("GET", path)).json.items).toMatchObject([{ spec: newer }]);
  const accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
  const table = (await ask("GET", path, undefined, { accept })).json;
  const columns = table.columnDefinitions.map(({ name }: { name: string }) => name);
  expect(table.rows[0].cells[columns.indexOf("Suspend")]).toBe("False");
  const first = await firstEvent(await get(path, "watch=true&timeoutSeconds=5"));
  expect(first).toMatchObject({ type: "ADDED", object: { kind: "CronJob", spec: newer } });
  expect((await store.get(type, "default/old"))?.schema).toBe(older);
});

test("the next write stores it under the schema of today", async () => {
  const { store, ask, get } = await openOlder();
  const mergePatch = { "content-type": "application/merge-patch+json" };
  const patched = await ask("PATCH", `${path}/old`, { metadata: { labels: { a: "b" } } }, mergePatch);
  expect(patched.json).toMatchObject({ metadata: { labels: { a: "b" } }, spec: newer });
  const entry = await store.get(type, "default/old");
  expect(entry?.schema).toBe(schemaOf(cronJobs));
  expect(JSON.parse(new TextDecoder().decode(entry?.body))).toMatchObject({ spec: newer });
  // A watch from before the write shows the newer form.
  const event = await firstEvent(await get(path, "watch=true&resourceVersion=2&timeoutSeconds=5"));
  expect(event).toMatchObject({ type: "MODIFIED", object: { spec: newer } });
});

test("a deleted object of an older schema is shown to watchers with the defaults of today", async () => {
  const { ask, get } = await openOlder();
  const selected = "watch=true&resourceVersion=2&timeoutSeconds=5";
  await ask("DELETE", `${path}/old`, { propagationPolicy: "Background" });
  expect(await firstEvent(await get(path, selected))).toMatchObject({ type: "DELETED", object: { spec: newer } });
});

test("equal schemas have equal names, and every kind's has its own", () => {
  expect(schemaOf(cronJobs)).toMatch(/^batch\/v1\/CronJob#[0-9a-f]{8}$/);
  expect(schemaOf(cronJobs)).not.toBe(older);
  expect(schemaOf({ ...cronJobs })).toBe(schemaOf(cronJobs));
});

// biome-ignore lint/suspicious/noExplicitAny: events are looked into
async function firstEvent({ body }: { body: Uint8Array | AsyncIterable<Uint8Array> }): Promise<any> {
  if (body instanceof Uint8Array) throw new Error(new TextDecoder().decode(body));
  for await (const chunk of body) return JSON.parse(new TextDecoder().decode(chunk).split("\n")[0]!);
}
