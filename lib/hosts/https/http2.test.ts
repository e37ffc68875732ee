import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from "node:http2";
import { request as requestHttps } from "node:https";
import { connect as connectTls } from "node:tls";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import type { ApiRequest, ApiResponse } from "#apiserver";
import { createAuthority, issue } from "#auth/certificates";
import { silentLog, systemClock } from "#base";
import { createLinks, type Host, serve } from "./index.ts";

let tls: { cert: string; key: string };
let host: Host;
let handle: (request: ApiRequest) => Promise<ApiResponse>;
const sessions: ClientHttp2Session[] = [];

beforeAll(async () => {
  const now = Date.now();
  const authority = await createAuthority(now);
  tls = await issue({ authority, subject: { commonName: "host" }, names: ["127.0.0.1"], days: 1, now });
});
beforeEach(async () => {
  const server = { handle: (request: ApiRequest) => handle(request) };
  const links = createLinks(silentLog, systemClock);
  host = await serve({ server: server as never, links, log: silentLog, bind: "127.0.0.1", port: 0, tls });
});
afterEach(async () => {
  for (const session of sessions.splice(0)) session.destroy();
  await host.close();
});

async function dial(options: { initialWindowSize?: number } = {}): Promise<ClientHttp2Session> {
  const session = connectHttp2(`https://127.0.0.1:${host.port}`, { rejectUnauthorized: false, settings: options });
  sessions.push(session);
  await once(session, "remoteSettings");
  return session;
}

async function ask(session: ClientHttp2Session, headers: Record<string, string | string[]>, body = "") {
  const stream = session.request({ ":path": "/", ...headers }, { endStream: body === "" });
  if (body !== "") stream.end(body);
  const [received] = (await once(stream, "response")) as [Record<string, string | number>];
  return { status: received[":status"], headers: received, text: await textOf(stream) };
}

async function textOf(stream: ClientHttp2Stream): Promise<string> {
  stream.setEncoding("utf8");
  let text = "";
  for await (const chunk of stream) text += chunk;
  return text;
}

const json = (value: unknown, headers: Record<string, string | string[]> = {}): ApiResponse => ({
  status: 200,
  headers: { "content-type": "application/json", ...headers },
  body: new TextEncoder().encode(JSON.stringify(value)),
});

test("serves both versions of HTTP on one port, as the client chooses", async () => {
  handle = async (request) => {
    const body = new TextDecoder().decode(await request.body());
    const { method, path, headers, repeated, peer } = request;
    const query = request.query.get("q");
    return json(
      { method, path, query, type: headers["content-type"], host: headers["host"], repeated, peer, body },
      { warning: ["299 - a", "299 - b"], connection: "close" },
    );
  };
  const session = await dial();
  expect(session.alpnProtocol).toBe("h2");
  const many = "x".repeat(300_000);
  const sent = {
    ":method": "POST",
    ":path": "/api/v1/x?q=1",
    "content-type": "a/b",
    "impersonate-group": ["a, b", "c"],
  };
  const { status, headers, text } = await ask(session, sent, many);
  expect([status, headers["warning"]]).toEqual([200, "299 - a, 299 - b"]);
  expect(JSON.parse(text)).toEqual({
    method: "POST",
    path: "/api/v1/x",
    query: "1",
    type: "a/b",
    host: `127.0.0.1:${host.port}`,
    repeated: { "impersonate-group": ["a, b", "c"] },
    peer: { address: "127.0.0.1" },
    body: many,
  });
  const head = await ask(session, { ":method": "HEAD" });
  expect([head.status, head.text, Number(head.headers["content-length"]) > 0]).toEqual([200, "", true]);

  const old = requestHttps({ port: host.port, rejectUnauthorized: false }).end();
  const [answer] = await once(old, "response");
  expect([answer.httpVersion, answer.statusCode]).toEqual(["1.1", 200]);
  answer.resume();
});

// Go sends header values as UTF-8, and Node reads each byte as a character.
test("sends a header beyond ASCII as UTF-8 instead of ending the response", async () => {
  const warning = '299 - "unknown field \\"d\ufffdé😀\\""';
  handle = async () => json({}, { warning: [warning], "x-one": "é" });
  const read = (text: unknown) => Buffer.from(String(text), "latin1").toString();
  const { status, headers } = await ask(await dial(), {});
  expect([status, read(headers["warning"]), read(headers["x-one"])]).toEqual([200, warning, "é"]);
  const old = requestHttps({ port: host.port, rejectUnauthorized: false }).end();
  const [answer] = await once(old, "response");
  expect([answer.statusCode, read(answer.headers.warning), read(answer.headers["x-one"])]).toEqual([200, warning, "é"]);
  answer.resume();
  const upgrading = requestHttps({
    port: host.port,
    rejectUnauthorized: false,
    headers: { connection: "upgrade", upgrade: "websocket" },
  }).end();
  const [refused] = await once(upgrading, "response");
  expect(read(refused.headers.warning)).toBe(warning);
  refused.resume();
});

test("refuses a body beyond the limit, and does not wait for an unread one", async () => {
  handle = async (request) => {
    if (request.path === "/unread") return json({});
    return request.body().then(
      () => json({}),
      (error: { code: number }) => ({ ...json({}), status: error.code }),
    );
  };
  const session = await dial();
  expect((await ask(session, { ":method": "PUT" }, "x".repeat(3 * 1024 * 1024 + 1))).status).toBe(413);
  const stream = session.request({ ":method": "PUT", ":path": "/unread" });
  const closed = once(stream, "close");
  stream.write("x".repeat(1000));
  expect((await once(stream, "response"))[0][":status"]).toBe(200);
  stream.resume();
  await closed;
  expect((await ask(session, {})).status).toBe(200);
});

/** A watch that offers chunks without end. */
function endless(taken: { chunks: number; ended: boolean }): ApiResponse {
  async function* body() {
    try {
      for (;;) {
        taken.chunks++;
        yield new Uint8Array(16_384);
      }
    } finally {
      taken.ended = true;
    }
  }
  return { status: 200, headers: {}, body: body() };
}

test("as many requests as upstream allows run at once on a connection", async () => {
  handle = async () => json({});
  const session = await dial();
  // apiserver's secure_serving.go without --http2-max-streams-per-connection.
  expect(session.remoteSettings.maxConcurrentStreams).toBe(100);
  const answers = await Promise.all(Array.from({ length: 300 }, () => ask(session, {})));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
});

test("a watcher that does not read holds back itself alone, and its events pile up nowhere", async () => {
  const slow = { chunks: 0, ended: false };
  const fast = { chunks: 0, ended: false };
  handle = async (request) => (request.path === "/slow" ? endless(slow) : endless(fast));
  const session = await dial();
  session.setLocalWindowSize(16 * 1024 * 1024);
  const stuck = session.request({ ":path": "/slow" });
  stuck.pause();
  await once(stuck, "response");
  const reading = session.request({ ":path": "/fast" });
  let bytes = 0;
  for await (const chunk of reading) {
    bytes += (chunk as Buffer).length;
    if (bytes > 20 * 1024 * 1024) break;
  }
  expect(slow.chunks).toBeLessThan(30);
  expect(slow.ended).toBe(false);
  stuck.close();
  await expect.poll(() => [slow.ended, fast.ended]).toEqual([true, true]);
});

test("aborts a request whose client has disconnected", async () => {
  let signal: AbortSignal | undefined;
  handle = (request) => {
    ({ signal } = request);
    return new Promise(() => {});
  };
  const session = await dial();
  const stream = session.request({ ":path": "/" });
  stream.on("error", () => {});
  await expect.poll(() => signal).toBeDefined();
  stream.close(8);
  await expect.poll(() => signal!.aborted).toBe(true);
});

test("at the end watches end and clients are sent elsewhere", async () => {
  handle = async (request) => {
    async function* body() {
      yield new TextEncoder().encode("first");
      await once(request.signal, "abort");
    }
    return { status: 200, headers: {}, body: body() };
  };
  const session = await dial();
  const goaway = once(session, "goaway");
  const stream = session.request({ ":path": "/" });
  await once(stream, "response");
  const text = textOf(stream);
  const closed = once(session, "close");
  const ended = host.close();
  expect(await text).toBe("first");
  expect((await goaway)[0]).toBe(0);
  await closed;
  await ended;
});

test("malformed HTTP/2 and endless resets end their own connection only", async () => {
  handle = async () => json({});
  const socket = connectTls({ port: host.port, rejectUnauthorized: false, ALPNProtocols: ["h2"] });
  socket.on("error", () => {});
  await once(socket, "secureConnect");
  socket.end("GET / HTTP/1.1\r\n\r\n");
  socket.resume();
  await once(socket, "close");
  const rude = await dial();
  rude.on("error", () => {});
  for (let request = 0; request < 3000 && !rude.destroyed; request++) {
    const stream = rude.request({ ":path": "/" });
    stream.on("error", () => {});
    stream.close(8);
    if (request % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  const session = await dial();
  expect((await ask(session, {})).status).toBe(200);
});

// Node refuses requests of a connection whose unread responses exceed `maxSessionMemory`.
test("large responses on all streams of a connection wait for their clients, and none is refused", async () => {
  const piece = Buffer.alloc(64 * 1024);
  handle = async ({ path }) => ({
    status: 200,
    headers: {},
    body: path === "/whole" ? Buffer.alloc(1024 * 1024) : ReadableStream.from(Array.from({ length: 16 }, () => piece)),
  });
  const session = await dial();
  const streams = Array.from({ length: 100 }, (_, index) =>
    session.request({ ":path": index % 2 ? "/whole" : "/parts" }),
  );
  for (const stream of streams) await once(stream, "response");
  const lengths = await Promise.all(
    streams.map(async (stream) => {
      let length = 0;
      for await (const chunk of stream) length += chunk.length;
      return length;
    }),
  );
  expect(new Set(lengths)).toEqual(new Set([1024 * 1024]));
});
