import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import { Agent, type RequestOptions, request as send } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Redirects } from "#agent/network";
import { apiServerNames } from "#api";
import { createAuthority, issue } from "#auth/certificates";
import { silentLog, systemClock, systemRandom } from "#base";
import type { Client } from "#client";
import { ApiProxy } from "./api-proxy.ts";

/* An API behind a path, as API Gateway has it, and clients as in-cluster configurations make them. */

const authority = await createAuthority(systemClock.now());
const names = [...apiServerNames, "10.96.0.1"];
const certificate = await issue({
  authority,
  subject: { commonName: "system:node:a" },
  names,
  days: 1,
  now: systemClock.now(),
});

let folder: string;
let agent: Agent;
const opened: (() => unknown)[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "skiff-api-proxy-"));
  writeFileSync(join(folder, "api-serving.json"), JSON.stringify(certificate));
  agent = new Agent({ keepAlive: true, ca: authority.cert, servername: "kubernetes.default.svc" });
});
afterEach(async () => {
  agent.destroy();
  for (const close of opened.splice(0).reverse()) await close();
  rmSync(folder, { recursive: true, force: true });
});

async function api(handle: RequestListener): Promise<{ url: string; server: Server }> {
  const server = createServer(handle).listen(0, "127.0.0.1");
  await once(server, "listening");
  opened.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/live`, server };
}

async function proxyTo(server: string, redirects?: Redirects): Promise<ApiProxy> {
  const [clock, random, log] = [systemClock, systemRandom, silentLog];
  const options = { client: {} as Client, name: "a", folder, addresses: () => ["10.96.0.1"], clock, random, log };
  const proxy = new ApiProxy({ address: "127.0.0.1", server, certificate: options, log });
  const running = await proxy.start(redirects);
  opened.push(() => running.stop());
  // The stored certificate is read after the start.
  await expect.poll(() => handshake(proxy), { timeout: 30_000 }).toBe(true);
  return proxy;
}

const dial = ({ listening: { address, port } }: ApiProxy): TLSSocket =>
  connectTls({ host: address, port, ca: authority.cert, servername: "kubernetes" });

async function handshake(proxy: ApiProxy): Promise<boolean> {
  const socket = dial(proxy);
  try {
    await once(socket, "secureConnect");
    return socket.authorized;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

function begin(proxy: ApiProxy, path: string, options: RequestOptions = {}) {
  const { address: host, port } = proxy.listening;
  const request = send({ agent, host, port, path, ...options });
  const answer = once(request, "response").then(([found]) => found as IncomingMessage);
  answer.catch(() => {});
  return { request, answer };
}

async function ask(proxy: ApiProxy, path: string, options: RequestOptions = {}, body?: string) {
  const { request, answer } = begin(proxy, path, options);
  request.end(body);
  const { statusCode: status, headers } = await answer;
  return { status, headers, body: await text(await answer) };
}

test("passes requests on below the server's path, with their own credentials", async () => {
  const seen: IncomingMessage[] = [];
  const { url } = await api((request, response) => {
    seen.push(request);
    response.writeHead(403, { "x-amzn-Remapped-WWW-Authenticate": "Basic", "content-type": "application/json" });
    response.end(`{"kind":"Status"}`);
  });
  const proxy = await proxyTo(url);
  const headers = {
    authorization: "Bearer abc",
    "impersonate-group": ["a", "b"],
    "x-skiff-upgrade": "websocket",
    "x-request": "1",
  };
  const { status, headers: answered, body } = await ask(proxy, "/api/v1/pods?labelSelector=a%3Db%2Bc&x=+", { headers });
  expect([status, body, answered["www-authenticate"], answered["content-type"]]).toEqual([
    403,
    `{"kind":"Status"}`,
    "Basic",
    "application/json",
  ]);
  const [{ url: path, headers: sent, rawHeaders, method } = {} as IncomingMessage] = seen;
  expect([method, path]).toEqual(["GET", "/live/api/v1/pods?labelSelector=a%3Db%2Bc&x=+"]);
  expect(sent).toMatchObject({ authorization: "Bearer abc", "x-request": "1", host: new URL(url).host });
  expect(rawHeaders.filter((_, at) => rawHeaders[at - 1] === "impersonate-group")).toEqual(["a", "b"]);
  expect(sent["x-skiff-upgrade"]).toBeUndefined();
});

test("is verified by the names of the API's service, and by its address", async () => {
  const { url } = await api((_, response) => response.end("ok"));
  const proxy = await proxyTo(url);
  for (const servername of apiServerNames)
    expect((await ask(proxy, "/", { servername, agent: false, ca: authority.cert })).body).toBe("ok");
  // An empty server name verifies the address of the connection, which is the service's inside pods.
  const socket = dial(proxy);
  await once(socket, "secureConnect");
  expect(socket.getPeerCertificate().subjectaltname).toContain("IP Address:10.96.0.1");
  socket.destroy();
});

test("streams bodies in both directions before they end", async () => {
  const { url } = await api((request, response) => request.pipe(response));
  const proxy = await proxyTo(url);
  const { request, answer } = begin(proxy, "/echo", { method: "POST" });
  for (const part of ["first", "second"]) {
    request.write(part);
    const [chunk] = await once(await answer, "data");
    expect(String(chunk)).toBe(part);
  }
  const size = 4 * 1024 * 1024;
  let got = 0;
  (await answer).on("data", (chunk: Buffer) => {
    got += chunk.length;
  });
  request.end(Buffer.alloc(size));
  await once(await answer, "end");
  expect(got).toBe(size);
});

test("a body of a known length keeps its length", async () => {
  const { url } = await api((request, response) => {
    const answer = (body: string) => response.end(`${request.headers["content-length"]} ${body.length}`);
    void text(request).then(answer);
  });
  const headers = { "content-length": "5" };
  expect((await ask(await proxyTo(url), "/", { method: "DELETE", headers }, "12345")).body).toBe("5 5");
});

test("a client that disconnects ends its request", async () => {
  const gone = Promise.withResolvers<void>();
  const { url } = await api((request, response) => {
    request.socket.once("close", gone.resolve);
    response.write("event\n");
  });
  const { request, answer } = begin(await proxyTo(url), "/api/v1/pods?watch=true");
  request.end();
  await once(await answer, "data");
  (await answer).on("error", () => {});
  request.destroy();
  await gone.promise;
});

test("a client that disconnects in its body ends its request", async () => {
  const gone = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const { url } = await api((request) => {
    request.socket.once("close", gone.resolve);
    request.once("data", () => begun.resolve());
  });
  const { request } = begin(await proxyTo(url), "/", { method: "POST" });
  request.on("error", () => {});
  request.write("half");
  await begun.promise;
  request.destroy();
  await gone.promise;
});

test("an answer that is cut short is cut short for the client", async () => {
  const { url } = await api((_, response) => {
    response.write("half");
    setImmediate(() => response.destroy());
  });
  await expect(ask(await proxyTo(url), "/")).rejects.toThrow(/aborted|ECONNRESET/);
});

test("answers an early refusal of a large body, and serves the next request", async () => {
  const { url } = await api((request, response) => {
    if (request.method === "GET") return response.end("next");
    response.writeHead(413).end("too large");
    return request.resume();
  });
  const proxy = await proxyTo(url);
  const { request, answer } = begin(proxy, "/", { method: "POST" });
  request.on("error", () => {});
  request.write(Buffer.alloc(1024 * 1024));
  expect((await answer).statusCode).toBe(413);
  expect(await text(await answer)).toBe("too large");
  request.destroy();
  expect((await ask(proxy, "/")).body).toBe("next");
});

test("answers 503 with a Status when the API does not answer", async () => {
  const { url, server } = await api(() => {});
  const proxy = await proxyTo(url);
  server.close();
  const { status, body } = await ask(proxy, "/version");
  expect([status, JSON.parse(body)]).toMatchObject([503, { kind: "Status", reason: "ServiceUnavailable" }]);
});

test("repeats a read whose connection was closed just as it was used again, and no write", async () => {
  const sockets = new Set<Socket>();
  let count = 0;
  const { url } = await api((request, response) => {
    count++;
    // The second request on a connection finds it closed.
    if (sockets.has(request.socket)) return request.socket.resetAndDestroy();
    sockets.add(request.socket);
    return response.end("ok");
  });
  const proxy = await proxyTo(url);
  const all = [await ask(proxy, "/"), await ask(proxy, "/")];
  expect([all.map(({ status }) => status), count]).toEqual([[200, 200], 3]);
  expect([(await ask(proxy, "/", { method: "POST" }, "x")).status, count]).toEqual([503, 4]);
});

test("refuses requests of an address beyond its part, and admits them later", async () => {
  const held: (() => void)[] = [];
  const { url } = await api((_, response) => void held.push(() => response.end("ok")));
  const proxy = await proxyTo(url);
  const requests = Array.from({ length: 256 }, () => ask(proxy, "/"));
  await expect.poll(() => held.length, { timeout: 60_000 }).toBe(256);
  const { status, headers, body } = await ask(proxy, "/");
  expect([status, headers["retry-after"], JSON.parse(body).reason]).toEqual([429, "1", "TooManyRequests"]);
  for (const answer of held.splice(0)) answer();
  for (const { status: found } of await Promise.all(requests)) expect(found).toBe(200);
  const later = ask(proxy, "/");
  await expect.poll(() => held.length, { timeout: 60_000 }).toBe(1);
  held[0]!();
  expect((await later).status).toBe(200);
}, 120_000);

test("closes a connection with too many requests before their answers", async () => {
  let count = 0;
  const { url } = await api(() => count++);
  const socket = dial(await proxyTo(url));
  socket.on("error", () => {});
  socket.write("GET / HTTP/1.1\r\nHost: kubernetes\r\n\r\n".repeat(1000));
  await once(socket, "close");
  expect(count).toBeLessThanOrEqual(16);
});

test("closes connections of an address beyond its part", async () => {
  const { url } = await api((_, response) => response.end("ok"));
  const proxy = await proxyTo(url);
  const sockets = Array.from({ length: 513 }, () => dial(proxy));
  const states = sockets.map((socket) => {
    socket.on("error", () => {});
    return Promise.race([
      once(socket, "secureConnect").then(() => "open"),
      once(socket, "close").then(() => "closed"),
    ]).catch(() => "closed");
  });
  const found = await Promise.all(states);
  expect(found.filter((state) => state === "closed").length).toBeGreaterThan(0);
  expect(found.filter((state) => state === "open").length).toBeLessThanOrEqual(512);
  for (const socket of sockets) socket.destroy();
  await expect.poll(() => handshake(proxy), { timeout: 30_000 }).toBe(true);
}, 120_000);

test("answers malformed and oversized requests without asking the API", async () => {
  let count = 0;
  const { url } = await api((_, response) => {
    count++;
    response.end();
  });
  const proxy = await proxyTo(url);
  const raw = async (request: string): Promise<string> => {
    const socket = dial(proxy);
    socket.on("error", () => {});
    socket.write(request);
    return (await text(socket)).split("\r\n")[0]!;
  };
  expect(await raw("nonsense\r\n\r\n")).toBe("HTTP/1.1 400 Bad Request");
  expect(await raw(`GET / HTTP/1.1\r\nHost: a\r\nx: ${"y".repeat(20_000)}\r\n\r\n`)).toMatch(/^HTTP\/1.1 431/);
  expect(await raw("OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).toBe("HTTP/1.1 400 Bad Request");
  const smuggled = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
  expect(await raw(smuggled)).toBe("HTTP/1.1 400 Bad Request");
  expect(count).toBe(0);
});

test("pods are redirected to it while it has a certificate", async () => {
  const { url } = await api((_, response) => response.end());
  const redirects = new Redirects();
  rmSync(join(folder, "api-serving.json"));
  const [clock, random, log] = [systemClock, systemRandom, silentLog];
  const options = { client: {} as Client, name: "a", folder, addresses: () => [], clock, random, log };
  const bare = new ApiProxy({ address: "127.0.0.1", server: url, certificate: options, log });
  const running = await bare.start(redirects);
  expect(await handshake(bare)).toBe(false);
  expect(redirects.find("default/kubernetes", 443, "TCP")).toBeUndefined();
  await running.stop();
  writeFileSync(join(folder, "api-serving.json"), JSON.stringify(certificate));
  const proxy = await proxyTo(url, redirects);
  expect(redirects.find("default/kubernetes", 443, "TCP")).toEqual(proxy.listening);
  await opened.pop()!();
  expect(redirects.find("default/kubernetes", 443, "TCP")).toBeUndefined();
});
