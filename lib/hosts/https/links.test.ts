import { once } from "node:events";
import { createServer } from "node:http";
import { performServerHandshake } from "node:http2";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createWebSocketStream, WebSocket, WebSocketServer } from "ws";
import { silentLog } from "#base";
import { handClock } from "#test/make";
import { createLinks } from "./links.ts";

const clock = handClock();
const links = createLinks(silentLog, clock);
const host = createServer();
const agents = new WebSocketServer({ noServer: true });
let port = 0;
beforeAll(async () => {
  host.on("upgrade", (request, socket, head) => {
    agents.handleUpgrade(request, socket, head, (webSocket) => links.add("node", webSocket));
  });
  host.listen(0, "127.0.0.1");
  await once(host, "listening");
  ({ port } = host.address() as AddressInfo);
});
afterAll(() => {
  links.close();
  host.close();
});

/** An agent that answers every request with an endless body, as fast as it is read. */
async function dial(): Promise<{ socket: WebSocket; sent: () => number }> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/link/node`);
  const duplex = createWebSocketStream(socket);
  let bytes = 0;
  duplex.on("error", () => {});
  socket.on("close", () => duplex.destroy());
  await once(socket, "open");
  const session = performServerHandshake(duplex);
  session.on("error", () => {});
  session.on("stream", (stream) => {
    if (stream.destroyed) return;
    stream.on("error", () => {});
    stream.respond({ ":status": 200 });
    const write = () => {
      while (!stream.destroyed && stream.write(Buffer.alloc(16_384))) bytes += 16_384;
    };
    stream.on("drain", write);
    write();
  });
  return { socket, sent: () => bytes };
}

const ask = () => links.request("node", { type: "healthz" }, new AbortController().signal);

async function read(body: AsyncIterable<Uint8Array>, atLeast: number): Promise<void> {
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size >= atLeast) return;
  }
}

test("a link that breaks under load ends its own requests and nothing else", async () => {
  for (let round = 0; round < 20; round++) {
    const { socket } = await dial();
    const running = [ask(), ask()].map(async (asked) => read((await asked).body, Number.POSITIVE_INFINITY));
    const tunnel = links.tunnel("node", { type: "healthz" });
    tunnel.on("error", () => {});
    tunnel.resume();
    tunnel.write("hello");
    await new Promise((resolve) => setTimeout(resolve, round % 5));
    if (round % 2 === 0) socket.terminate();
    else links.close();
    await Promise.allSettled(running);
  }
  await expect(async () => ask()).rejects.toMatchObject({ code: 503 });
});

test("carries an upgrade that is longer than the link's headers, and stays open", async () => {
  const { socket } = await dial();
  const { body } = await ask();
  const exec = (length: number) => ({
    type: "exec" as const,
    pod: { namespace: "default", name: "p", uid: "u" },
    container: "c",
    command: ["x".repeat(length)],
    streams: { stdin: false, stdout: true, stderr: false, tty: false },
  });
  for (const length of [59_000, 1_000_000]) {
    const tunnel = links.tunnel("node", exec(length));
    await once(tunnel, "readable");
    tunnel.on("error", () => {}).destroy();
  }
  // Seen on v1.37.2.
  await expect(links.request("node", exec(1), new AbortController().signal)).rejects.toMatchObject({
    code: 400,
    message: "Upgrade request required",
  });
  const sinceTime = "1".repeat(100_000);
  const options = { follow: false, previous: false, timestamps: false, sinceTime };
  const log = { ...exec(1), type: "logs" as const, options };
  await expect(links.request("node", log, new AbortController().signal)).rejects.toMatchObject({
    code: 400,
    message: "the request is too long for the node's link: limit is 60000",
  });
  await read(body, 1_000_000);
  socket.terminate();
});

test("a newer link replaces the older one", async () => {
  const first = await dial();
  const closed = once(first.socket, "close");
  const second = await dial();
  await closed;
  const { status, body } = await ask();
  expect(status).toBe(200);
  await read(body, 100_000);
  second.socket.terminate();
});

test("closes a link whose agent is silent for two pings", async () => {
  const { socket } = await dial();
  for (let ping = 0; ping < 4; ping++) {
    clock.move(15_000);
    // The answer to the ping comes before the response to a later request.
    await read((await ask()).body, 1);
  }
  expect(links.has("node")).toBe(true);
  // As if the machine had vanished: the connection is open, and nothing answers.
  socket.pause();
  const lost = ask().catch((error: unknown) => error);
  clock.move(15_000);
  expect(links.has("node")).toBe(true);
  clock.move(15_000);
  await expect.poll(() => links.has("node")).toBe(false);
  expect(await lost).toMatchObject({ code: 503 });
  socket.terminate();
});

test("a response that is not read stops the agent instead of filling the server", async () => {
  const { socket, sent } = await dial();
  const { body } = await ask();
  let before = -1;
  while (sent() !== before) {
    before = sent();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  expect(before).toBeLessThan(2 * 1024 * 1024);
  await read(body, before + 100_000);
  expect(sent()).toBeGreaterThan(before);
  socket.terminate();
});
