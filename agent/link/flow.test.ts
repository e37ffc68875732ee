import { once } from "node:events";
import { Duplex } from "node:stream";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import { fakeRuntime } from "#agent/runtime/fake";
import { systemClock } from "#base";
import { decodeNodeRequest } from "#node-link";
import { type LinkedServer, linkedServer, spdyClient, startPod, tunnelledClient } from "./testing.ts";

/** More than all buffers between a pod and its client hold, and less than a test can move. */
const bounded = 48 * 1024 * 1024;
const piece = Buffer.alloc(64 * 1024);

let linked: LinkedServer;
let url = "";
const runtime = fakeRuntime({ clock: systemClock });
const { streams } = runtime;

/** A port of a pod. It sends without end, as fast as it is read, or reads nothing. */
class Port extends Duplex {
  sent = 0;
  readonly #sends: boolean;

  constructor(sends: boolean) {
    super({ allowHalfOpen: true });
    this.#sends = sends;
    this.on("error", () => {});
  }

  override _read(): void {
    // A reader without back pressure would never let the test look.
    if (!this.#sends || this.sent > 2 * bounded) return;
    this.sent += piece.length;
    this.push(piece);
  }

  /** Never done: the pod does not read. */
  override _write(): void {}
}

beforeAll(async () => {
  const pod = await startPod(runtime, "p", { command: ["cat"], stdin: true });
  linked = await linkedServer(runtime, new Map([["p", pod]]));
  url = linked.url;
});
afterAll(() => linked.close());
let port: Port;
beforeEach(() => {
  streams.forward = async () => port;
});

const healthz = async (): Promise<number> =>
  (await linked.links.request("n", { type: "healthz" }, new AbortController().signal)).status;

/** Waits until the number stays the same while the link answers other requests. */
async function settled(read: () => number): Promise<number> {
  let before = -1;
  while (read() !== before && before <= bounded) {
    before = read();
    for (let times = 0; times < 20; times++) {
      expect(await healthz()).toBe(200);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
  return before;
}

const openSocket = (path: string, protocol: string): WebSocket =>
  new WebSocket(url.replace("http", "ws") + path, protocol);

const forward = (protocol: string): WebSocket => openSocket("/portForward/default/p?port=80", protocol);

test.each(["v4.channel.k8s.io", "v4.base64.channel.k8s.io"])(
  "port-forward over %s stops a pod whose client does not read",
  async (protocol) => {
    port = new Port(true);
    const socket = forward(protocol);
    await once(socket, "open");
    socket.pause();
    expect(await settled(() => port.sent)).toBeLessThan(bounded);
    socket.terminate();
    await expect.poll(() => port.destroyed).toBe(true);
  },
);

/** Sends on the channel as long as less than a megabyte waits to be sent. Returns the count of bytes sent. */
function flood(socket: WebSocket, channel: number): () => number {
  const message = Buffer.concat([Buffer.of(channel), piece]);
  let sent = 0;
  const send = () => {
    if (socket.readyState !== socket.OPEN) return;
    while (socket.bufferedAmount < 1_000_000 && sent <= 2 * bounded) {
      sent += piece.length;
      socket.send(message);
    }
    setImmediate(send);
  };
  send();
  return () => sent;
}

test("port-forward over WebSocket channels stops a client whose pod does not read", async () => {
  port = new Port(false);
  const socket = forward("v4.channel.k8s.io");
  await once(socket, "open");
  expect(await settled(flood(socket, 0))).toBeLessThan(bounded);
  expect(port.writableLength).toBeLessThan(4 * 1024 * 1024);
  socket.terminate();
});

test("port-forward over WebSocket channels stops a client while its pod is being connected, and drops other channels", {
  timeout: 120_000,
}, async () => {
  port = new Port(false);
  const connected = Promise.withResolvers<void>();
  streams.forward = async () => {
    await connected.promise;
    return port;
  };
  const early = forward("v4.channel.k8s.io");
  await once(early, "open");
  expect(await settled(flood(early, 0))).toBeLessThan(bounded);
  connected.resolve();
  await expect.poll(() => port.writableLength).toBeGreaterThan(0);
  early.terminate();
  const other = forward("v4.channel.k8s.io");
  await once(other, "open");
  const sent = flood(other, 7);
  await expect.poll(sent, { timeout: 100_000 }).toBeGreaterThan(bounded);
  other.terminate();
});

test.each([
  ["SPDY", () => spdyClient(`${url}/portForward/default/p`, "portforward.k8s.io")],
  ["SPDY in a WebSocket", () => tunnelledClient(`${url}/portForward/default/p`)],
] as const)("port-forward over %s ends its connections with the client, whatever the pod does", async (_name, open) => {
  port = new Port(false);
  const { connection } = await open();
  connection.open({ streamtype: "error", port: "80", requestid: "1" }).on("error", () => {});
  const data = connection.open({ streamtype: "data", port: "80", requestid: "1" }).on("error", () => {});
  data.write("hello");
  await expect.poll(() => port.writableLength).toBeGreaterThan(0);
  connection.close();
  await expect.poll(() => port.destroyed).toBe(true);
});

const exec = (flags: string): string => `/exec/default/p/main?${flags}&command=x`;

/** A process with `port` as its standard input and output. Resolves when its session is closed. */
function run(): Promise<void> {
  const { resolve, promise: closed } = Promise.withResolvers<void>();
  const done = new Promise<{ exitCode: number }>(() => {});
  streams.exec = async () => ({ stdin: port, stdout: port, done, resize() {}, close: resolve });
  return closed;
}

test.each(["v5.channel.k8s.io", "base64.channel.k8s.io"])(
  "exec over %s stops a process whose client does not read, and is closed with the client",
  async (protocol) => {
    port = new Port(true);
    const closed = run();
    const socket = openSocket(exec("output=1"), protocol);
    await once(socket, "open");
    socket.pause();
    expect(await settled(() => port.sent)).toBeLessThan(bounded);
    socket.terminate();
    await closed;
  },
);

test("exec over WebSocket stops a client whose process does not read, and drops input that is not requested", {
  timeout: 120_000,
}, async () => {
  port = new Port(false);
  const closed = run();
  const reads = openSocket(exec("input=1&output=1"), "v5.channel.k8s.io");
  await once(reads, "open");
  expect(await settled(flood(reads, 0))).toBeLessThan(bounded);
  expect(port.writableLength).toBeLessThan(4 * 1024 * 1024);
  reads.terminate();
  const other = openSocket(exec("output=1"), "v5.channel.k8s.io");
  await once(other, "open");
  await expect.poll(flood(other, 0), { timeout: 100_000 }).toBeGreaterThan(bounded);
  other.close();
  await closed;
});

test("exec over SPDY stops a process whose client does not read, and a client whose process does not read", async () => {
  for (const sends of [true, false]) {
    port = new Port(sends);
    const closed = run();
    const { connection: client } = await spdyClient(url + exec("input=1&output=1"), "v4.channel.k8s.io");
    const [, stdin] = ["error", "stdin", "stdout"].map((streamtype) =>
      client.open({ streamtype }).on("error", () => {}),
    );
    let sent = 0;
    const send = (): void => {
      if (sent > bounded || stdin!.destroyed) return;
      sent += piece.length;
      stdin!.write(piece, send);
    };
    send();
    expect(await settled(() => (sends ? port.sent : sent))).toBeLessThan(bounded);
    client.close();
    // A connection from which nothing more is read does not report its end: the process must write, or read, first.
    if (sends) await closed;
  }
});

test("a log whose client does not read is read no further", async () => {
  let read = 0;
  streams.logs = async function* () {
    for (; read < 2 * bounded; read += piece.length) yield piece;
  };
  const stop = new AbortController();
  await linked.links.request("n", decodeNodeRequest("/containerLogs/default/p/main")!, stop.signal);
  expect(await settled(() => read)).toBeLessThan(bounded);
  stop.abort();
});

test("answers a request while more streams wait for their clients than a session buffers by default", async () => {
  const stop = new AbortController();
  streams.logs = async function* () {
    for (let sent = 0; sent < bounded; sent += piece.length) yield piece;
  };
  const log = decodeNodeRequest("/containerLogs/default/p/main")!;
  for (let count = 0; count < 250; count++) {
    const { status } = await linked.links.request("n", log, stop.signal);
    expect(status).toBe(200);
  }
  expect(await healthz()).toBe(200);
  stop.abort();
});
