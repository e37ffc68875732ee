import { createServer, request, type Server } from "node:http";
import { type AddressInfo, connect as connectTcp } from "node:net";
import type { Duplex, Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { createWebSocketStream, WebSocket, WebSocketServer } from "ws";
import { fakeRuntime } from "#agent/runtime/fake";
import { SpdyConnection } from "#agent/runtime/spdy";
import { plainContainer, plainSandbox } from "#agent/runtime/testing";
import { NodeStats } from "#agent/stats";
import type { Pod } from "#api";
import { silentLog, systemClock } from "#base";
import { createLinks, type Links } from "#hosts/https";
import { decodeNodeRequest } from "#node-link";
import { Link } from "./index.ts";

let server: Server;
let links: Links;
let link: Link;
let url = "";
const runtime = fakeRuntime({ clock: systemClock });
const pods = new Map<string, Pod>();

const until = async (condition: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
};

async function start(name: string, command: string[], more = {}): Promise<void> {
  const uid = `uid-${name}`;
  const sandbox = plainSandbox({ name, namespace: "default", uid, logDirectory: "" });
  const { id: imageId } = await runtime.images.pull("busybox");
  const { id: sandboxId } = await runtime.pods.runSandbox(sandbox);
  const container = plainContainer({ image: "busybox", imageId, command, ...more });
  const id = await runtime.pods.startContainer({ sandboxId, sandbox, container });
  const status = { containerStatuses: [{ name: "main", state: { running: {} }, containerID: `fake://${id}` }] };
  const metadata = { name, namespace: "default", uid };
  pods.set(name, { metadata, spec: { containers: [{ name: "main" }] }, status } as unknown as Pod);
}

beforeAll(async () => {
  links = createLinks(silentLog, systemClock);
  const agents = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  server = createServer();
  // As the server does it: the client's request is passed through unchanged.
  server.on("upgrade", (incoming, socket: Duplex, head) => {
    if (incoming.url?.startsWith("/link/")) {
      agents.handleUpgrade(incoming, socket, head, (webSocket) => links.add(incoming.url!.slice(6), webSocket));
      return;
    }
    const lines = [`${incoming.method} ${incoming.url} HTTP/1.1`];
    for (let at = 0; at < incoming.rawHeaders.length; at += 2) {
      lines.push(`${incoming.rawHeaders[at]}: ${incoming.rawHeaders[at + 1]}`);
    }
    const stream = links.tunnel("node-1", decodeNodeRequest(incoming.url ?? "")!);
    stream.on("error", () => socket.destroy());
    stream.write(`${lines.join("\r\n")}\r\n\r\n`);
    stream.write(head);
    stream.pipe(socket);
    socket.pipe(stream);
    socket.on("error", () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  link = new Link({
    server: url,
    node: "node-1",
    runtime,
    find: (_namespace, name) => pods.get(name),
    clock: systemClock,
    log: silentLog,
    metrics: async () => "kubelet_running_pods 3\n",
    stats: new NodeStats({
      ...{ node: "node-1", runtime, clock: systemClock, simulated: true, startedAt: 0, folder: "" },
      ...{ cgroupDriver: "none", cgroupOf: () => undefined, podFolder: () => undefined, logFolder: () => "" },
    }),
  });
  await until(() => links.has("node-1"));
  await start("shell", ["sh", "-c", "echo one; echo two; sleep 1000"]);
  await start("echo", ["nc", "-l", "-p", "80"]);
  await start("cat", ["cat"], { stdin: true, stdinOnce: true });
});
afterAll(async () => {
  await link.stop();
  links.close();
  server.closeAllConnections();
  server.close();
});

async function get(path: string): Promise<{ status: number; body: string }> {
  const { status, body } = await links.request("node-1", decodeNodeRequest(path)!, new AbortController().signal);
  // By events: an iterator over an HTTP/2 stream that has already ended reports a premature close.
  const stream = body as AsyncIterable<Uint8Array> & Readable;
  const parts: Uint8Array[] = [];
  stream.on("data", (part: Uint8Array) => parts.push(part));
  await new Promise((resolve) => stream.once("end", resolve));
  return { status, body: Buffer.concat(parts).toString() };
}

test("returns a container's log, a part of it, and upstream's errors", async () => {
  expect(await get("/containerLogs/default/shell/main")).toEqual({ status: 200, body: "one\ntwo\n" });
  expect((await get("/containerLogs/default/shell/main?tailLines=1")).body).toBe("two\n");
  const none = await get("/containerLogs/default/none/main");
  expect(none.status).toBe(404);
  expect(JSON.parse(none.body)).toMatchObject({ kind: "Status", reason: "NotFound" });
  const previous = await get("/containerLogs/default/shell/main?previous=true");
  expect(previous.status).toBe(400);
  expect(previous.body).toContain('previous terminated container \\"main\\" in pod \\"shell\\" not found');
  const waiting = { waiting: { reason: "CreateContainerError", message: "no such device" } };
  const metadata = { name: "stuck", namespace: "default", uid: "uid-stuck" };
  pods.set("stuck", { metadata, status: { containerStatuses: [{ name: "main", state: waiting }] } } as unknown as Pod);
  // Texts of upstream's validateContainerLogStatus, v1.37.2: images are mentioned only for ErrImagePull and its
  // back-off.
  expect((await get("/containerLogs/default/stuck/main")).body).toContain(
    'container \\"main\\" in pod \\"stuck\\" is waiting to start: CreateContainerError',
  );
});

test("ends a followed log with the request", async () => {
  const stop = new AbortController();
  const { body } = await links.request(
    "node-1",
    decodeNodeRequest("/containerLogs/default/shell/main?follow=true")!,
    stop.signal,
  );
  const seen: string[] = [];
  try {
    for await (const part of body) {
      seen.push(Buffer.from(part).toString());
      stop.abort();
    }
  } catch {
    // The test has closed the stream.
  }
  expect(seen.join("")).toBe("one\ntwo\n");
});

test("closes the log's file when the client disconnects", async () => {
  const closed = Promise.withResolvers<string>();
  const read = vi.spyOn(runtime.streams, "logs").mockImplementation(async function* () {
    try {
      for (;;) yield new Uint8Array(16_384);
    } finally {
      closed.resolve("closed");
    }
  });
  const stop = new AbortController();
  const request = decodeNodeRequest("/containerLogs/default/shell/main")!;
  const { body } = await links.request("node-1", request, stop.signal);
  stop.abort();
  (body as Readable).on("error", () => {}).resume();
  expect(await closed.promise).toBe("closed");
  read.mockRestore();
});

test("returns statistics of pods and containers in each form", async () => {
  const { body } = await get("/stats/summary");
  const { node, pods } = JSON.parse(body);
  expect(node.nodeName).toBe("node-1");
  expect(pods.map((one: { podRef: { name: string } }) => one.podRef.name)).toContain("shell");
  expect(pods[0].containers[0].memory.workingSetBytes).toBeGreaterThan(0);
  expect((await get("/metrics/resource")).body).toMatch(
    /^pod_memory_working_set_bytes\{pod="shell",namespace="default"\} \d/m,
  );
  expect((await get("/metrics/cadvisor")).body).toMatch(
    /^container_memory_rss\{container="main",.*pod="shell"\} 0 \d/m,
  );
  const { pods: used } = JSON.parse((await get("/usage")).body);
  expect(used.map((one: { name: string }) => one.name)).toContain("shell");
});

interface SessionResult {
  out: string;
  err: string;
  status: { status?: string; message?: string; details?: { causes: { message: string }[] } };
  code: number;
}

/** A client of the channel protocols. */
function channels(path: string, protocol: string, input?: string): Promise<SessionResult> {
  const socket = new WebSocket(`${url.replace("http", "ws")}${path}`, protocol);
  const result: SessionResult = { out: "", err: "", status: {}, code: 0 };
  socket.on("open", () => {
    if (input === undefined) return;
    socket.send(Buffer.concat([Buffer.from([0]), Buffer.from(input)]));
    if (protocol.startsWith("v5")) socket.send(Buffer.from([255, 0]));
  });
  socket.on("message", (data: Buffer) => {
    const rest = data.subarray(1).toString();
    if (data[0] === 1) result.out += rest;
    if (data[0] === 2) result.err += rest;
    if (data[0] === 3) result.status = JSON.parse(rest);
  });
  return new Promise((resolve, reject) => {
    socket.on("error", reject);
    socket.on("close", (code) => resolve({ ...result, code }));
  });
}

const exec = (flags: string, ...command: string[]) =>
  `/exec/default/shell/main?${flags}&${command.map((word) => `command=${encodeURIComponent(word)}`).join("&")}`;

test("exec over WebSocket carries both outputs, the exit code and stdin to its end", async () => {
  const script = exec("output=1&error=1", "sh", "-c", "echo out; echo err >&2; exit 3");
  for (const protocol of ["v5.channel.k8s.io", "v4.channel.k8s.io"]) {
    const { status, ...rest } = await channels(script, protocol);
    expect(rest).toEqual({ out: "out\n", err: "err\n", code: 1000 });
    expect(status).toMatchObject({
      status: "Failure",
      reason: "NonZeroExitCode",
      details: { causes: [{ message: "3" }] },
    });
  }
  const big = "0123456789abcdef".repeat(20_000);
  const through = await channels(exec("input=1&output=1", "cat"), "v5.channel.k8s.io", big);
  expect(through.out === big).toBe(true);
  expect(through.status.status).toBe("Success");
});

test("returns metrics as text for Prometheus", async () => {
  expect(await get("/metrics")).toEqual({ status: 200, body: "kubelet_running_pods 3\n" });
});

test("refuses an impossible exec before the upgrade, or reports it on the error channel", async () => {
  const refused = channels("/exec/default/none/main?output=1&command=true", "v4.channel.k8s.io");
  await expect(refused).rejects.toThrow("Unexpected server response: 404");
  await expect(channels(exec("output=1", "true"), "v9.channel.k8s.io")).rejects.toThrow("403");
  await expect(channels(exec("", "true"), "v4.channel.k8s.io")).rejects.toThrow("400");
  const unknown = await channels(exec("output=1&error=1", "curl"), "v5.channel.k8s.io");
  expect(unknown.err).toContain('exec: "curl"');
  expect(unknown.status.details?.causes[0]?.message).toBe("127");
});

/** A client of the older protocols: the data of each channel, in order, decoded by the protocol's codec. */
function olderClient(path: string, protocol: string | undefined, input = ""): Promise<Record<number, string>> {
  const encoded = protocol?.includes("base64") ?? false;
  const socket = new WebSocket(`${url.replace("http", "ws")}${path}`, protocol);
  const result: Record<number, string> = {};
  socket.on("open", () => {
    expect(socket.protocol).toBe(protocol ?? "");
    if (input === "") return;
    socket.send(encoded ? `0${Buffer.from(input).toString("base64")}` : Buffer.from(`\0${input}`));
  });
  socket.on("message", (data: Buffer, isBinary) => {
    expect(isBinary).toBe(!encoded);
    const channel = data[0]! - (encoded ? 48 : 0);
    const rest = data.subarray(1).toString();
    result[channel] = (result[channel] ?? "") + (encoded ? Buffer.from(rest, "base64").toString() : rest);
    // Standard input cannot be ended: the client disconnects instead.
    if (input !== "" && result[1] === input) socket.close();
  });
  return new Promise((resolve, reject) => {
    socket.on("error", reject);
    socket.on("close", () => resolve(result));
  });
}

// cri-streaming's remotecommand/websocket.go: before v4 the error channel carries text, and nothing after a success.
test("exec works over the older WebSocket protocols, in base64, and without a protocol", async () => {
  const script = exec("output=1&error=1", "sh", "-c", "echo out; echo err >&2; exit 3");
  const failed = "command terminated with non-zero exit code: exit status 3";
  for (const protocol of [undefined, "channel.k8s.io", "base64.channel.k8s.io"]) {
    expect(await olderClient(script, protocol)).toEqual({ 1: "out\n", 2: "err\n", 3: failed });
    expect(await olderClient(exec("input=1&output=1", "cat"), protocol, "hello")).toEqual({ 1: "hello" });
    expect(await olderClient(exec("output=1", "true"), protocol)).toEqual({ 1: "" });
  }
  const { 3: status, ...rest } = await olderClient(script, "v4.base64.channel.k8s.io");
  expect(rest).toEqual({ 1: "out\n", 2: "err\n" });
  expect(JSON.parse(status!)).toMatchObject({ status: "Failure", message: failed });
});

test("attach connects to the first process", async () => {
  const result = await channels("/attach/default/cat/main?input=1&output=1&error=1", "v5.channel.k8s.io", "hello");
  expect(result).toMatchObject({ out: "hello", status: { status: "Success" }, code: 1000 });
});

/** An upgrade to SPDY, as kubectl falls back to. */
function spdyClient(path: string, protocol: string): Promise<SpdyConnection> {
  return new Promise((resolve, reject) => {
    const headers = { Connection: "Upgrade", Upgrade: "SPDY/3.1", "X-Stream-Protocol-Version": protocol };
    const outgoing = request(url + path, { method: "POST", headers });
    outgoing.on("upgrade", (response, socket, head) => {
      expect(response.headers["x-stream-protocol-version"]).toBe(protocol);
      resolve(new SpdyConnection(socket, { head }));
    });
    outgoing.on("error", reject);
    outgoing.end();
  });
}

test("exec works over SPDY", async () => {
  const connection = await spdyClient(exec("input=1&output=1&error=1", "cat"), "v4.channel.k8s.io");
  const [error, stdin, stdout, stderr] = ["error", "stdin", "stdout", "stderr"].map((streamtype) =>
    connection.open({ streamtype }),
  );
  stdin!.end("typed");
  for (const stream of [stdin, stderr]) stream!.resume();
  expect(await text(stdout!)).toBe("typed");
  expect(JSON.parse(await text(error!))).toMatchObject({ status: "Success" });
  connection.close();
});

// remotecommand's terminal sizes are a queue (kubectl sends the first at once): none is lost before the session opens.
test("passes the terminal's first size to the session over SPDY and over WebSocket", async () => {
  const sizes: object[] = [];
  const { streams } = runtime;
  const open = streams.exec.bind(streams);
  streams.exec = async (request) => ({ ...(await open(request)), resize: (size) => sizes.push(size) });
  try {
    const connection = await spdyClient(exec("input=1&output=1&tty=1", "cat"), "v4.channel.k8s.io");
    const names = ["error", "stdin", "stdout", "resize"];
    const [, stdin, stdout, resize] = names.map((streamtype) => connection.open({ streamtype }));
    resize!.write('{"Width":120,"Height":40}\n');
    await until(() => sizes.length === 1);
    stdin!.end();
    await text(stdout!);
    connection.close();
    const socket = new WebSocket(
      url.replace("http", "ws") + exec("input=1&output=1&tty=1", "cat"),
      "v5.channel.k8s.io",
    );
    socket.on("open", () => socket.send(Buffer.concat([Buffer.of(4), Buffer.from('{"Width":90,"Height":30}')])));
    await until(() => sizes.length === 2);
    socket.terminate();
  } finally {
    streams.exec = open;
  }
  expect(sizes).toEqual([
    { width: 120, height: 40 },
    { width: 90, height: 30 },
  ]);
});

async function throughSpdy(connection: SpdyConnection, port: string): Promise<{ data: string; error: string }> {
  const headers = { port, requestid: "0" };
  const error = connection.open({ streamtype: "error", ...headers });
  error.end();
  const data = connection.open({ streamtype: "data", ...headers });
  data.end("ping");
  const [said, answered] = await Promise.all([text(error), text(data)]);
  connection.close();
  return { data: answered, error: said };
}

test("port-forward works over SPDY, plain and inside WebSocket", async () => {
  const path = "/portForward/default/echo";
  expect(await throughSpdy(await spdyClient(path, "portforward.k8s.io"), "80")).toEqual({ data: "ping", error: "" });
  const refused = await throughSpdy(await spdyClient(path, "portforward.k8s.io"), "81");
  expect(refused.error).toContain("error forwarding port 81 to pod echo_default");
  // WebSocket clients cannot offer this protocol's name: the request is written by hand, as kubectl does.
  const { port } = server.address() as AddressInfo;
  const socket = connectTcp(port, "127.0.0.1");
  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n` +
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io\r\n\r\n",
  );
  const head = await new Promise<string>((resolve) => socket.once("data", (chunk) => resolve(chunk.toString())));
  expect(head).toContain("101 Switching Protocols");
  expect(head).toContain("Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io");
  const inner = new WebSocket(null as unknown as string, undefined, {}) as WebSocket & {
    setSocket(s: Duplex, h: Buffer, o: object): void;
  };
  // Created without an address it takes the server's role.
  Object.assign(inner, { _isServer: false });
  inner.setSocket(socket, Buffer.alloc(0), { maxPayload: 1e8, allowSynchronousEvents: true, skipUTF8Validation: true });
  expect(await throughSpdy(new SpdyConnection(createWebSocketStream(inner)), "80")).toEqual({
    data: "ping",
    error: "",
  });
});

test("exec works over SPDY before v4", async () => {
  for (const protocol of ["channel.k8s.io", "v2.channel.k8s.io", "v3.channel.k8s.io"]) {
    const path = exec("output=1&error=1", "sh", "-c", "echo out; exit 3");
    const connection = await spdyClient(path, protocol);
    const [error, stdout, stderr] = ["error", "stdout", "stderr"].map((streamtype) => connection.open({ streamtype }));
    stderr!.resume();
    expect(await text(stdout!)).toBe("out\n");
    expect(await text(error!)).toBe("command terminated with non-zero exit code: exit status 3");
    connection.close();
  }
});

test("port-forward works over WebSocket in base64", async () => {
  const path = `${url.replace("http", "ws")}/portForward/default/echo?port=80`;
  const socket = new WebSocket(path, "v4.base64.channel.k8s.io");
  const result: string[] = [];
  socket.on("message", (data: Buffer) => result.push(data.toString()));
  await new Promise((resolve) => socket.once("open", resolve));
  socket.send(`0${Buffer.from("ping").toString("base64")}`);
  await until(() => result.length >= 3);
  const port = Buffer.from([80, 0]).toString("base64");
  expect(result).toEqual([`0${port}`, `1${port}`, `0${Buffer.from("ping").toString("base64")}`]);
  socket.close();
});

test("port-forward works over WebSocket channels", async () => {
  const socket = new WebSocket(`${url.replace("http", "ws")}/portForward/default/echo?port=80`, "v4.channel.k8s.io");
  const result: Buffer[] = [];
  socket.on("message", (data: Buffer) => result.push(data));
  await new Promise((resolve) => socket.once("open", resolve));
  socket.send(Buffer.concat([Buffer.from([0]), Buffer.from("ping")]));
  await until(() => result.length >= 3);
  expect(result.slice(0, 2).map((data) => [...data])).toEqual([
    [0, 80, 0],
    [1, 80, 0],
  ]);
  expect(result[2]!.toString("latin1")).toBe("\0ping");
  socket.close();
});

test("dials again when the link breaks", async () => {
  links.close();
  await until(() => !links.has("node-1"));
  await until(() => links.has("node-1"));
  expect((await get("/healthz")).status).toBe(200);
});
