import { once } from "node:events";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import type { ApiRequest, ApiResponse } from "#apiserver";
import { createAuthority, issue } from "#auth/certificates";
import { serviceUnavailable, silentLog, systemClock } from "#base";
import { createLinks, type Host, type Links, serve } from "./index.ts";

let tls: { cert: string; key: string };
let host: Host;
let links: Links;
let handle: (request: ApiRequest) => Promise<ApiResponse>;

beforeAll(async () => {
  const now = Date.now();
  const authority = await createAuthority(now);
  tls = await issue({ authority, subject: { commonName: "host" }, names: ["127.0.0.1"], days: 1, now });
});
beforeEach(async () => {
  const server = { handle: (request: ApiRequest) => handle(request) };
  links = createLinks(silentLog, systemClock);
  host = await serve({ server: server as never, links, log: silentLog, bind: "127.0.0.1", port: 0, tls });
});
afterEach(() => host.close());

const dial = (protocols: string[] = [], headers: Record<string, string> = { origin: "https://x" }): WebSocket =>
  new WebSocket(`wss://127.0.0.1:${host.port}/x?watch=1`, protocols, { rejectUnauthorized: false, headers });

/** All messages until the end, as text, and whether each was binary. */
async function heard(socket: WebSocket): Promise<[string, boolean][]> {
  const messages: [string, boolean][] = [];
  socket.on("message", (data: Buffer, isBinary) => messages.push([data.toString(), isBinary]));
  await once(socket, "close");
  return messages;
}

const answering = (messages: "events" | "bytes", chunks: string[]) => async (): Promise<ApiResponse> => {
  async function* body() {
    for (const chunk of chunks) yield new TextEncoder().encode(chunk);
  }
  return { status: 200, headers: { "content-type": "application/json" }, body: body(), messages };
};

// apiserver's WatchServer.HandleWS: each event is a text message, ended by its newline.
test("each event of a watch is one message, however its bytes are chunked", async () => {
  handle = answering("events", ['{"type":"ADDED"}\n{"type":"MOD', 'IFIED","é":1}\n', "\n"]);
  for (const protocols of [[], ["a", "b"]]) {
    const socket = dial(protocols);
    expect(await heard(socket)).toEqual([
      ['{"type":"ADDED"}\n', false],
      ['{"type":"MODIFIED","é":1}\n', false],
      ["\n", false],
    ]);
    expect(socket.protocol).toBe(protocols[0] ?? "");
  }
});

// x/net/websocket's checkOrigin; seen on v1.37.2, for watches and not for logs.
test("a watch without an Origin is refused, a log is not", async () => {
  handle = answering("events", ['{"type":"ADDED"}\n']);
  const [error] = await once(dial([], {}), "error");
  expect(String(error)).toContain("403");
  handle = answering("bytes", ["one\n"]);
  expect(await heard(dial([], {}))).toHaveLength(2);
});

// wsstream's Reader: an empty message first.
test("logs are binary or base64, as the client requests", async () => {
  handle = answering("bytes", ["one\n", "two\n"]);
  const binary: [string, boolean][] = [
    ["", true],
    ["one\n", true],
    ["two\n", true],
  ];
  expect(await heard(dial())).toEqual(binary);
  expect(await heard(dial(["binary.k8s.io"]))).toEqual(binary);
  expect(await heard(dial(["none", "base64.binary.k8s.io"]))).toEqual([
    ["", false],
    ["b25lCg==", false],
    ["dHdvCg==", false],
  ]);
  await expect(once(dial(["none"]), "open")).rejects.toThrow("Unexpected server response: 403");
});

test("errors and plain responses are ordinary responses", async () => {
  handle = async () => ({
    status: 404,
    headers: { "x-a": ["1", "2"] },
    body: new TextEncoder().encode("{}"),
    messages: "events",
  });
  await expect(once(dial(), "open")).rejects.toThrow("Unexpected server response: 404");
  handle = async () => ({ status: 200, headers: {}, body: new TextEncoder().encode("{}") });
  await expect(once(dial(), "open")).rejects.toThrow("Unexpected server response: 200");
});

test("a watcher that disconnects ends its watch, and so does the server's end", async () => {
  let ended = 0;
  handle = async (request) => {
    async function* body() {
      try {
        yield new TextEncoder().encode("first\n");
        await once(request.signal, "abort");
      } finally {
        ended++;
      }
    }
    return { status: 200, headers: {}, body: body(), messages: "events" };
  };
  const leaving = dial();
  await once(leaving, "message");
  leaving.terminate();
  await expect.poll(() => ended).toBe(1);
  const staying = dial();
  await once(staying, "message");
  const closed = once(staying, "close");
  await host.close();
  expect((await closed)[0]).toBe(1000);
  expect(ended).toBe(2);
});

// apiserver's ProtocolAuthenticator.
test("a token may be sent as a subprotocol, and is not passed on as one", async () => {
  const seen: (string | undefined)[] = [];
  handle = async (request) => {
    seen.push(request.headers["authorization"], request.headers["sec-websocket-protocol"]);
    return answering("bytes", [])();
  };
  const token = `base64url.bearer.authorization.k8s.io.${Buffer.from("secret-token").toString("base64url")}`;
  await heard(dial([token, "binary.k8s.io"]));
  expect(seen).toEqual(["Bearer secret-token", "binary.k8s.io"]);
});

// kubectl shows the message of a Status; a connection that ends without one is "unexpected EOF".
test("exec on a node whose agent is not connected, or disconnects before its response, fails with a Status", async () => {
  handle = async () => ({
    status: 101,
    headers: {},
    body: new Uint8Array(),
    tunnel: { node: "gone", request: { type: "healthz" } },
  });
  const refusal = async (): Promise<{ status?: number; body: string }> => {
    const socket = dial(["v5.channel.k8s.io"]);
    socket.on("error", () => {});
    const [, response] = await once(socket, "unexpected-response");
    let body = "";
    for await (const chunk of response) body += chunk;
    return { status: response.statusCode, body };
  };
  const { status, body } = await refusal();
  expect([status, JSON.parse(body)]).toMatchObject([
    503,
    {
      kind: "Status",
      reason: "ServiceUnavailable",
      message: "error dialing backend: the agent of node gone is not connected",
    },
  ]);
  links.tunnel = () => {
    throw serviceUnavailable("x");
  };
  expect(JSON.parse((await refusal()).body).message).toBe("error dialing backend: x");
});
