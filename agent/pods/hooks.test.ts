import { createServer, type IncomingMessage, type Server } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { systemClock } from "#base";
import { runHook } from "./hooks.ts";
import { Cluster, makeContainer } from "./testing.ts";

let server: Server;
let port = 0;
let seen: { url: string | undefined; headers: IncomingMessage["headers"] }[] = [];

beforeAll(async () => {
  server = createServer(({ url, headers }, response) => {
    seen.push({ url, headers });
    if (url === "/moved") response.writeHead(302, { location: "/there" }).end();
    else if (url === "/away") response.writeHead(302, { location: "http://elsewhere.example/" }).end();
    else response.writeHead(url === "/500" ? 500 : 200).end("body");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  port = (server.address() as AddressInfo).port;
});
beforeEach(() => {
  seen = [];
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

async function hook(get: object, warnings: string[] = []): Promise<string> {
  const cluster = new Cluster();
  const container = makeContainer("main", { ports: [{ name: "web", containerPort: port }] as never });
  const target = {
    container,
    containerId: "id",
    ip: "127.0.0.1",
    streams: cluster.runtime.streams,
    clock: systemClock,
  };
  const fellBack = (message: string) => warnings.push(message);
  const result = await runHook({ httpGet: { port: "web", ...get } as never }, { ...target, reachable: true, fellBack })
    .then(() => "")
    .catch((error: Error) => error.message);
  await cluster.manager.stop();
  return result;
}

// Upstream's handlerRunner.runHTTPHandler and the CheckRedirect of the kubelet's client.
test("an HTTP hook succeeds with any response, and follows redirects within its host only", async () => {
  expect(await hook({ path: "/500" })).toBe("");
  expect(
    await hook({
      path: "/moved",
      httpHeaders: [
        { name: "X-Key", value: "a" },
        { name: "x-key", value: "b" },
      ],
    }),
  ).toBe("");
  expect(await hook({ path: "/away" })).toBe("");
  expect(seen.map(({ url }) => url)).toEqual(["/500", "/moved", "/there", "/away"]);
  expect(seen[2]!.headers).toMatchObject({ "user-agent": "kube-lifecycle/1.36", "x-key": "a, b", accept: "*/*" });
  expect(await hook({ port: 1, path: "/x" })).toBe(
    'HTTP lifecycle hook (/x) for Container "main" failed - error: Get "http://127.0.0.1:1/x": dial tcp 127.0.0.1:1: connect: connection refused',
  );
  expect(await hook({ port: "none", path: "/x" })).toMatch(/error: couldn't find port: "none"$/);
});

// Upstream's runHTTPHandler with isHTTPResponseError: the event LifecycleHTTPFallback.
test("an HTTPS hook that is answered in plain HTTP is sent again over HTTP, without credentials", async () => {
  const warnings: string[] = [];
  const httpHeaders = [
    { name: "Authorization", value: "Bearer secret" },
    { name: "X-Other", value: "kept" },
  ];
  expect(await hook({ path: "/stop", scheme: "HTTPS", httpHeaders }, warnings)).toBe("");
  expect(seen).toHaveLength(1);
  expect(seen[0]).toMatchObject({ url: "/stop", headers: { "x-other": "kept" } });
  expect(seen[0]!.headers.authorization).toBeUndefined();
  expect(warnings).toEqual([
    `request to HTTPS lifecycle hook 127.0.0.1:${port} got HTTP response, retry with HTTP succeeded`,
  ]);
  // A server that closes the connection has not answered in HTTP.
  const silent = createTcpServer((socket) => socket.end());
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const { port: closed } = silent.address() as AddressInfo;
  expect(await hook({ port: closed, scheme: "HTTPS" }, warnings)).toContain(`Get "https://127.0.0.1:${closed}/": `);
  expect(warnings).toHaveLength(1);
  silent.close();
});
