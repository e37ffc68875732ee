import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import { fakeRuntime } from "#agent/runtime/fake";
import { silentLog, systemClock } from "#base";
import { upgradeServer } from "./index.ts";
import { type LinkedServer, linkedServer, spdyClient, startPod } from "./testing.ts";

let linked: LinkedServer;
const runtime = fakeRuntime({ clock: systemClock });

beforeAll(async () => {
  const shell = await startPod(runtime, "shell", { command: ["sleep", "1000"] });
  const echo = await startPod(runtime, "echo", { command: ["nc", "-l", "-p", "80"] });
  linked = await linkedServer(
    runtime,
    new Map([
      ["shell", shell],
      ["echo", echo],
    ]),
  );
});
afterAll(() => linked.close());

const exec = (flags: string, ...command: string[]): string =>
  `/exec/default/shell/main?${flags}${command.map((word) => `&command=${encodeURIComponent(word)}`).join("")}`;

const openSocket = (path: string, protocols: string[]): WebSocket =>
  new WebSocket(linked.url.replace("http", "ws") + path, protocols);

const portForward = "/portForward/default/echo";

/** The text of each channel until the connection ends. */
async function read(socket: WebSocket): Promise<Record<number, string>> {
  const channels: Record<number, string> = {};
  socket.on("message", (data: Buffer) => {
    channels[data[0]!] = (channels[data[0]!] ?? "") + data.subarray(1).toString();
  });
  await once(socket, "close");
  return channels;
}

// StreamTranslatorHandler of upstream's API server, seen on v1.37.2: any offer of v5 is translated, and the handshake
// comes before the connection to the kubelet.
test("exec chooses v5 wherever it is offered, and reports its refusals on the error channel", async () => {
  const several = openSocket(exec("output=1", "echo", "hi"), ["v4.channel.k8s.io", "v9.x", "v5.channel.k8s.io"]);
  const channels = await read(several);
  expect(several.protocol).toBe("v5.channel.k8s.io");
  expect(channels[1]).toBe("hi\n");
  const refusals = [
    ["/exec/default/shell/other?output=1&command=x", 'container not found ("other")'],
    [exec("", "x"), "you must specify at least 1 of stdin, stdout, stderr"],
  ] as const;
  for (const [path, why] of refusals) {
    const { 3: status } = await read(openSocket(path, ["v5.channel.k8s.io"]));
    const message = `unable to upgrade connection: ${why}`;
    expect(JSON.parse(status!)).toMatchObject({
      status: "Failure",
      message: `Internal error occurred: ${message}`,
      reason: "InternalError",
      details: { causes: [{ message }] },
      code: 500,
    });
  }
});

test("exec chooses the first protocol that the client offers and the kubelet has", async () => {
  const socket = openSocket(exec("output=1", "true"), ["v9.x", "base64.channel.k8s.io", "v4.channel.k8s.io"]);
  await once(socket, "open");
  expect(socket.protocol).toBe("base64.channel.k8s.io");
  socket.close();
  const offers = "v5.channel.k8s.io, v4.channel.k8s.io, v3.channel.k8s.io";
  const { connection, answered } = await spdyClient(linked.url + exec("output=1", "true"), offers);
  // Over SPDY there is no v5 (SupportedStreamingProtocols of cri-streaming).
  expect(answered).toBe("v4.channel.k8s.io");
  connection.close();
  await expect(spdyClient(linked.url + exec("output=1", "true"), "v9.channel.k8s.io")).rejects.toThrow("status 403");
});

// wsstream.Conn.handle
test.each([
  ["a close signal without a channel", [255]],
  ["a close signal for a channel that does not exist", [255, 5]],
  ["a close signal with more bytes", [255, 0, 0]],
])("exec over v5 ends the connection after %s", async (_name, bytes) => {
  const socket = openSocket(exec("input=1&output=1", "cat"), ["v5.channel.k8s.io"]);
  await once(socket, "open");
  socket.send(Buffer.from(bytes));
  const [code] = await once(socket, "close");
  expect(code).toBe(1006);
});

// handleResizeEvents: Go's decoder reads one object after the other, and ignores the case of names.
test("exec reads sizes of the terminal in any case, several in a message, and in parts", async () => {
  const sizes: object[] = [];
  const { streams } = runtime;
  const open = streams.exec.bind(streams);
  streams.exec = async (request) => ({ ...(await open(request)), resize: (size) => sizes.push(size) });
  const socket = openSocket(exec("input=1&output=1&tty=1", "cat"), ["v5.channel.k8s.io"]);
  const echoed = new Promise((resolve) => socket.on("message", (data: Buffer) => data.length > 1 && resolve(data)));
  await once(socket, "open");
  const send = (text: string) => socket.send(Buffer.from(`\x04${text}`));
  // The session is open: sizes before that are not kept but for the last.
  socket.send(Buffer.from("\0x"));
  await echoed;
  send('{"height":37,"width":91}');
  send('{"Width":1,"Height":2}\n{"Width":3,"Hei');
  send('ght":4}{"width":-1,"height":5}nonsense}{"WIDTH":6,"Height":7}');
  await expect.poll(() => sizes).toHaveLength(4);
  expect(sizes).toEqual([
    { width: 91, height: 37 },
    { width: 1, height: 2 },
    { width: 3, height: 4 },
    { width: 6, height: 7 },
  ]);
  streams.exec = open;
  socket.close();
});

test("exec takes a command as long as the server's limit of a request, and passes it on whole", async () => {
  const long = "0123456789".repeat(90_000);
  const webSocket = await read(openSocket(exec("output=1", "echo", long), ["v5.channel.k8s.io"]));
  expect(webSocket[1] === `${long}\n`).toBe(true);
  const { connection } = await spdyClient(linked.url + exec("output=1", "echo", long), "v4.channel.k8s.io");
  const [error, stdout] = ["error", "stdout"].map((streamtype) => connection.open({ streamtype }));
  error!.resume();
  expect((await text(stdout!)) === `${long}\n`).toBe(true);
  connection.close();
});

test("a connection without a path is for its first request alone", async () => {
  const find = () => undefined;
  const upgrades = upgradeServer({ node: "n", runtime, find, log: silentLog });
  const server = createServer((socket) => upgrades.take(socket, undefined));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  socket.write(`GET ${exec("output=1", "true")} HTTP/1.1\r\nHost: x\r\n\r\n`);
  socket.write(`GET ${portForward} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n`);
  const answer = await text(socket);
  expect(answer).toMatch(/^HTTP\/1.1 400/);
  expect(answer).toContain("upgrade the connection");
  expect(answer).not.toContain("echo");
  upgrades.close();
  server.close();
});

// NewV4Options of cri-streaming
test("port-forward over WebSocket channels requires ports", async () => {
  for (const query of ["", "?port=0"]) {
    const socket = openSocket(portForward + query, ["v4.channel.k8s.io"]);
    const [error] = await once(socket, "error");
    expect(String(error)).toContain("400");
  }
});

test("port-forward over WebSocket channels reports a port that refuses, and goes on with the others", async () => {
  const socket = openSocket(`${portForward}?port=80,81`, ["v4.channel.k8s.io"]);
  const channels: Record<number, Buffer> = {};
  socket.on("message", (data: Buffer) => {
    channels[data[0]!] = Buffer.concat([channels[data[0]!] ?? Buffer.alloc(0), data.subarray(1)]);
  });
  await once(socket, "open");
  socket.send(Buffer.from("\0ping"));
  await expect.poll(() => channels[0]?.toString("latin1")).toBe("P\0ping");
  await expect
    .poll(() => channels[3]?.toString("latin1"))
    .toMatch(/^Q\0error forwarding port 81 to pod echo_default, uid /);
  socket.close();
});

// httpStreamHandler.requestID of cri-streaming
test("port-forward over SPDY pairs the streams of old clients by their numbers", async () => {
  const { connection } = await spdyClient(linked.url + portForward, "portforward.k8s.io");
  const open = (streamtype: string) => connection.open({ streamtype, port: "80" });
  // Two connections to one port. Both error streams have their data stream next, but answers of the first come last.
  const pairs = [
    [open("error"), open("data")],
    [open("error"), open("data")],
  ] as const;
  for (const [index, [error, data]] of pairs.entries()) {
    error.end();
    data.end(`ping ${index}`);
  }
  for (const [index, [error, data]] of pairs.entries()) {
    expect([await text(error), await text(data)]).toEqual(["", `ping ${index}`]);
  }
  connection.close();
});

// httpStreamReceived of cri-streaming
test.each([
  ["no port", { streamtype: "data" }],
  ["port 0", { streamtype: "data", port: "0" }],
  ["a port beyond 65535", { streamtype: "error", port: "65536" }],
  ["another type", { streamtype: "stdin", port: "80" }],
])("port-forward over SPDY resets a stream with %s, and no other", async (_name, headers) => {
  const { connection } = await spdyClient(linked.url + portForward, "portforward.k8s.io");
  const malformed = connection.open(headers as Record<string, string>);
  malformed.on("error", () => {}).resume();
  const ended = once(malformed, "end");
  const pair = { port: "80", requestid: "1" };
  const error = connection.open({ streamtype: "error", ...pair });
  const data = connection.open({ streamtype: "data", ...pair });
  data.end("ping");
  expect([await text(error), await text(data)]).toEqual(["", "ping"]);
  await ended;
  connection.close();
});
