import { expect, test } from "vitest";
import { silentLog, systemClock, systemRandom } from "#base";
import { MetricRegistry } from "#metrics";
import { memoryStore } from "#store/memory";
import { ControlPlane } from "./index.ts";

const common = { clock: systemClock, random: systemRandom, log: silentLog, serviceCidr: "10.96.0.0/16", ca: "" };

function start(metrics?: MetricRegistry) {
  const plane = new ControlPlane({ ...common, store: memoryStore(), caching: "live", ...(metrics ? { metrics } : {}) });
  const ask = async (method: string, target: string, commonName = "admin", body = "") => {
    const [path = "", query = ""] = target.split("?");
    const gone = new AbortController();
    const response = await plane.server.handle({
      method,
      path,
      query: new URLSearchParams(query),
      headers: { "content-type": "application/json" },
      body: async () => new TextEncoder().encode(body),
      signal: gone.signal,
      peer: { certificate: { commonName, organizations: commonName === "admin" ? ["system:masters"] : [] } },
    });
    const text = response.body instanceof Uint8Array ? new TextDecoder().decode(response.body) : "";
    return { ...response, text, leave: () => gone.abort() };
  };
  const linesOf = async (name: string, like = "") =>
    (await ask("GET", "/metrics")).text
      .split("\n")
      .filter((line) => line.startsWith(`${name}{`) && line.includes(like));
  return { plane, ask, linesOf };
}

test("counts requests with labels whose values clients cannot invent", async () => {
  const { plane, ask, linesOf } = start(new MetricRegistry());
  await plane.start();
  const maps = "/api/v1/namespaces/default/configmaps";
  await ask("POST", `${maps}?dryRun=All`, "admin", '{"metadata":{"name":"a"}}');
  await ask("GET", `${maps}/none`);
  await ask("GET", `${maps}/none`);
  for (let made = 0; made < 20; made++) {
    await ask("GET", `/api/v1/made-up-${made}`);
    await ask("GET", `/apis/made-up-${made}/v1/things`);
    await ask("GET", `/made-up-${made}`);
    await ask("GET", `${maps}/a/made-up-${made}`);
    await ask(`VERB-${made}`, maps);
  }
  const labels = (verb: string, scope: string) =>
    `group="",resource="configmaps",scope="${scope}",subresource="",verb="${verb}",version="v1"`;
  expect(await linesOf("apiserver_request_total", "configmaps")).toEqual(
    expect.arrayContaining([
      `apiserver_request_total{code="201",component="apiserver",dry_run="All",${labels("POST", "resource")}} 1`,
      `apiserver_request_total{code="404",component="apiserver",dry_run="",${labels("GET", "resource")}} 22`,
    ]),
  );
  const { text } = await ask("GET", "/metrics");
  expect(text).not.toContain("made-up");
  expect(text).not.toContain("VERB");
  expect(await linesOf("apiserver_request_duration_seconds_count", "configmaps")).not.toEqual([]);
  expect(await linesOf("apiserver_current_inflight_requests")).toEqual([
    'apiserver_current_inflight_requests{request_kind="mutating"} 0',
    'apiserver_current_inflight_requests{request_kind="readOnly"} 1',
  ]);
  expect(await linesOf("workqueue_adds_total", "serviceaccount")).not.toEqual([]);
  expect(await linesOf("etcd_requests_total", 'operation="create",group="",resource="namespaces"')).not.toEqual([]);
  await plane.stop();
});

test("a watch is counted for as long as it runs", async () => {
  const { plane, ask, linesOf } = start(new MetricRegistry());
  const name = "apiserver_longrunning_requests";
  const watch = await ask("GET", "/api/v1/configmaps?watch=1");
  const events = (watch.body as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
  const next = events.next();
  const labels =
    'component="apiserver",group="",resource="configmaps",scope="cluster",subresource="",verb="WATCH",version="v1"';
  expect(await linesOf(name)).toEqual([`${name}{${labels}} 1`]);
  watch.leave();
  await next;
  await events.return?.();
  expect(await linesOf(name)).toEqual([`${name}{${labels}} 0`]);
  await plane.stop();
});

test("serves /metrics to authorized users, and not where nothing is counted", async () => {
  const { plane, ask } = start(new MetricRegistry());
  await plane.start();
  const { status, headers } = await ask("GET", "/metrics");
  expect([status, headers["content-type"]]).toEqual([200, "text/plain; version=0.0.4; charset=utf-8"]);
  expect((await ask("GET", "/metrics", "jane")).status).toBe(403);
  expect(JSON.parse((await ask("GET", "/")).text).paths).toContain("/metrics");
  await plane.stop();
  const none = start();
  expect((await none.ask("GET", "/metrics")).status).toBe(404);
  await none.plane.stop();
});
