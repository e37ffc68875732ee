import { expect, test } from "vitest";
import { memoryStore } from "#store/memory";
import { requestInfo } from "./request.ts";
import { bareServer } from "./testing/bare-server.ts";

// Upstream's RequestInfo: the subresource is `proxy`, whatever follows it.
test("what follows nodes/proxy is no part of the subresource", () => {
  const request = { method: "GET", query: new URLSearchParams(), headers: {}, body: async () => new Uint8Array() };
  const read = (path: string) => requestInfo({ ...request, path, signal: new AbortController().signal }, () => false);
  expect(read("/api/v1/nodes/n/proxy/stats/summary")).toMatchObject({
    verb: "get",
    plural: "nodes",
    name: "n",
    subresource: "proxy",
    rest: "/stats/summary",
  });
  expect(read("/api/v1/nodes/n/proxy")).toMatchObject({ subresource: "proxy", rest: "" });
  expect(read("/api/v1/nodes/n/status")).toMatchObject({ subresource: "status", rest: "" });
});

test("passes metrics, stats and health through nodes/proxy, and nothing else", async () => {
  const { ask } = bareServer(memoryStore());
  await ask("POST", "/api/v1/nodes", { metadata: { name: "n" } });
  const answer = async (method: string, path: string) => (await ask(method, `/api/v1/nodes/n/proxy${path}`)).status;
  // This server has no way to the nodes: what is passed on ends there.
  for (const path of ["/metrics", "/stats/summary", "/healthz", "/logs", "/logs/pods/a.log"])
    expect([path, await answer("GET", path)]).toEqual([path, 503]);
  expect((await ask("GET", "/api/v1/nodes/n/proxy")).headers["location"]).toBe("/api/v1/nodes/n/proxy/");
  for (const path of [
    "/",
    "/exec/default/a/b",
    "/containerLogs/default/a/b",
    "/metrics/../exec",
    "/x",
    "/logs/../run",
    "/logsx",
    "/run/a/b/c",
  ]) {
    expect([path, await answer("GET", path)]).toEqual([path, 404]);
  }
  expect(await answer("POST", "/metrics")).toBe(405);
  expect((await ask("GET", "/api/v1/nodes/none/proxy/metrics")).status).toBe(404);
});
