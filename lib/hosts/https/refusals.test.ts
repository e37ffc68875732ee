import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { request as requestHttps } from "node:https";
import { connect as connectTls } from "node:tls";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { ApiRequest, ApiResponse } from "#apiserver";
import { statusOf } from "#apiserver";
import { createAuthority, issue } from "#auth/certificates";
import { silentLog, systemClock } from "#base";
import { createLinks, type Host, serve } from "./index.ts";

let tls: { cert: string; key: string };
let host: Host;
/** Records what reading a body threw. */
let observe: (error: unknown) => void = () => {};

beforeAll(async () => {
  const now = Date.now();
  const authority = await createAuthority(now);
  tls = await issue({ authority, subject: { commonName: "host" }, names: ["127.0.0.1"], days: 1, now });
});
beforeEach(async () => {
  // Like every verb: reads the body, and answers an error with its Status.
  const handle = async (request: ApiRequest): Promise<ApiResponse> => {
    try {
      const body = request.path === "/unread" ? [] : await request.body();
      return { status: 200, headers: {}, body: Buffer.from(String(body.length)) };
    } catch (error) {
      observe(error);
      const status = statusOf(error);
      return { status: status.code!, headers: {}, body: Buffer.from(JSON.stringify(status)) };
    }
  };
  const links = createLinks(silentLog, systemClock);
  host = await serve({ server: { handle } as never, links, log: silentLog, bind: "127.0.0.1", port: 0, tls });
});
afterEach(() => host.close());

/** Sends `text`, then `rest` in chunks until all is sent or the connection ends, and only then reads. */
async function writeThenRead(text: string, rest: Buffer = Buffer.alloc(0)): Promise<string> {
  const socket = connectTls({ port: host.port, rejectUnauthorized: false });
  await once(socket, "secureConnect");
  socket.write(text);
  const piece = 64 * 1024;
  for (let at = 0; at < rest.length; at += piece) {
    const sent = new Promise<void>((resolve, reject) => {
      socket.write(rest.subarray(at, at + piece), (error) => (error ? reject(error) : resolve()));
    });
    await sent;
  }
  let got = "";
  for await (const chunk of socket) got += chunk;
  return got;
}

// Upstream's message, seen on v1.37.2.
const tooLarge = {
  message: "Request entity too large: limit is 3145728",
  reason: "RequestEntityTooLarge",
  code: 413,
};
const body = Buffer.alloc(4 * 1024 * 1024, "x");

describe("a body that is not read", () => {
  const unread = (header: string, bytes: string) => `POST /unread HTTP/1.1\r\nhost: x\r\n${header}\r\n\r\n${bytes}`;
  const last = "GET /unread HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

  test("a short one costs neither the answer nor the connection, as with net/http", async () => {
    const got = await writeThenRead(unread("content-length: 2", "{}") + last);
    expect(got.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2);
    expect(got.match(/\r\n\r\n0/g)).toHaveLength(2);
  });

  test("a body that arrived completely without a length gets the full response", async () => {
    const got = await writeThenRead(unread("transfer-encoding: chunked", "2\r\n{}\r\n0\r\n\r\n"));
    expect(got).toMatch(/^HTTP\/1\.1 200 OK[\s\S]*\r\n\r\n0$/);
  });
});

describe("a body over the limit", () => {
  test.each([
    ["of a length that is known", `content-length: ${body.length}`, body],
    [
      "of a length that is not",
      "transfer-encoding: chunked",
      Buffer.concat([Buffer.from("400000\r\n"), body, Buffer.from("\r\n0\r\n\r\n")]),
    ],
  ])("%s: a client that writes it all before it reads gets the answer", async (_name, header, bytes) => {
    const got = await writeThenRead(`POST /x HTTP/1.1\r\nhost: x\r\n${header}\r\n\r\n`, bytes);
    expect(got).toMatch(/^HTTP\/1\.1 413 [\s\S]*connection: close\r\n/i);
    expect(JSON.parse(got.slice(got.indexOf("\r\n\r\n")))).toMatchObject(tooLarge);
  });

  test("clients of Node get the answer each time", async () => {
    const post = () =>
      new Promise<number>((resolve, reject) => {
        const options = { port: host.port, method: "POST", rejectUnauthorized: false, agent: false };
        const sent = requestHttps(options, (answer) => {
          answer.resume().on("end", () => resolve(answer.statusCode!));
        });
        sent.on("error", reject).end(body);
      });
    const seen = [];
    for (let count = 0; count < 20; count++) seen.push(await post());
    expect(new Set(seen)).toEqual(new Set([413]));
  });

  test("one that waits for 100 Continue does not send it", async () => {
    const got = await writeThenRead(
      `POST /x HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: ${body.length}\r\n\r\n`,
    );
    expect(got).toMatch(/^HTTP\/1\.1 413 /);
  });

  test("over HTTP/2 the stream is read to its end, and the connection stays open", async () => {
    const session = connectHttp2(`https://127.0.0.1:${host.port}`, { rejectUnauthorized: false });
    for (let count = 0; count < 3; count++) {
      const stream = session.request({ ":method": "POST", ":path": "/x" });
      const answered = once(stream, "response");
      let text = "";
      stream.on("data", (chunk) => {
        text += chunk;
      });
      const closed = once(stream, "close");
      const write = (at: number) =>
        new Promise((resolve) => stream.write(body.subarray(at, at + 64 * 1024), (error) => resolve(error?.message)));
      const written = Array.from({ length: 64 }, (_, index) => write(index * 64 * 1024));
      stream.end();
      const [headers] = await answered;
      await closed;
      expect([headers[":status"], JSON.parse(text), stream.rstCode]).toMatchObject([413, tooLarge, 0]);
      expect(new Set(await Promise.all(written))).toEqual(new Set([undefined]));
    }
    session.close();
  });
});

test("a client that disconnects before the end of its body causes no server error", async () => {
  const handled = new Promise<unknown>((resolve) => {
    observe = resolve;
  });
  const socket = connectTls({ port: host.port, rejectUnauthorized: false });
  await once(socket, "secureConnect");
  await new Promise((resolve) => socket.write("POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nab", resolve));
  socket.destroy();
  expect(statusOf(await handled)).toMatchObject({ code: 400, message: "unexpected EOF" });
});

test("a client gets 100 Continue when its body is read", async () => {
  const head = "host: x\r\nconnection: close\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n";
  expect(await writeThenRead(`POST /x HTTP/1.1\r\n${head}`, Buffer.from("ab"))).toMatch(
    /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /,
  );
  expect(await writeThenRead(`POST /unread HTTP/1.1\r\n${head}`)).toMatch(/^HTTP\/1\.1 200 /);
});

// A refusal by identity or query: the response is ready before the parser has reached the end of the same packet.
test.each([
  ["one packet", "ab", ""],
  ["two packets", "", "ab"],
])("a body that is not read and arrives in %s: the response is complete", async (_name, first, second) => {
  const head = "POST /unread HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\n";
  for (let count = 0; count < 5; count++) {
    expect(await writeThenRead(head + first, Buffer.from(second))).toMatch(/^HTTP\/1\.1 200 [\s\S]*\r\n\r\n0$/);
  }
});

describe("requests that Node's parser refuses", () => {
  // `curl -X FOO` on kube-apiserver v1.37.2.
  const notAllowed = {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message: "the server does not allow this method on the requested resource",
    reason: "MethodNotAllowed",
    details: {},
    code: 405,
  };
  test.each(["FOO", "get", "GETS", "x-y"])("method %s: 405", async (method) => {
    const head = `${method} /api/v1/pods HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n`;
    const got = await writeThenRead(head, body);
    expect(got).toMatch(/^HTTP\/1\.1 405 Method Not Allowed\r\ncontent-type: application\/json\r\n/);
    expect(JSON.parse(got.slice(got.indexOf("\r\n\r\n")))).toEqual(notAllowed);
  });

  // net/http's message.
  test.each([
    ["F@O / HTTP/1.1\r\nhost: x\r\n\r\n", 400, "400 Bad Request"],
    ["nonsense\r\n\r\n", 400, "400 Bad Request"],
    ["GET / HTTP/1.1\r\nx: LONG\r\n\r\n", 431, "431 Request Header Fields Too Large"],
  ])("%j: %d", async (text, status, words) => {
    const got = await writeThenRead(text.replace("LONG", "y".repeat(1100 * 1024)));
    expect(got).toMatch(new RegExp(`^HTTP/1\\.1 ${status} [\\s\\S]*\r\n\r\n${words}$`));
  });

  test("an answer that is under way is not mixed with another", async () => {
    const got = await writeThenRead("GET /x HTTP/1.1\r\nhost: x\r\n\r\nFOO / HTTP/1.1\r\nhost: x\r\n\r\n");
    expect(got).not.toMatch(/405/);
  });
});

// Upstream answers these too (net/http's DefaultMaxHeaderBytes is 1 MiB); Node's default is 16 KiB.
test("a line as long as a selector of a thousand names is read", async () => {
  const path = `/x?labelSelector=${"a".repeat(500 * 1024)}`;
  expect(await writeThenRead(`GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`)).toMatch(
    /^HTTP\/1\.1 200 /,
  );
});
