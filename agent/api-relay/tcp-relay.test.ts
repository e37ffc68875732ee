import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, expect, test } from "vitest";
import { silentLog } from "#base";
import { ApiRelay } from "./tcp-relay.ts";

const opened: { stop(): unknown }[] = [];
afterEach(async () => {
  for (const part of opened.splice(0).reverse()) await part.stop();
});

async function listening(accept: (socket: Socket) => unknown): Promise<string> {
  const server = createServer({ allowHalfOpen: true }, (socket) => void accept(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  opened.push({ stop: () => server.close() });
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function relayTo(server: string): Promise<ApiRelay> {
  const relay = new ApiRelay({ address: "127.0.0.1", server, log: silentLog });
  opened.push(await relay.start());
  return relay;
}

const dial = ({ listening: { address, port } }: ApiRelay): Socket =>
  connect({ host: address, port, allowHalfOpen: true });

test("passes bytes on in both ways, and the end of one way alone", async () => {
  const relay = await relayTo(
    await listening(async (socket) => {
      const request = await text(socket);
      socket.end(`${request} answered`);
    }),
  );
  const pod = dial(relay);
  pod.end("request");
  expect(await text(pod)).toBe("request answered");
});

test("resets a pod's connection when there is no server", async () => {
  const server = await listening(() => {});
  await opened.pop()?.stop();
  const pod = dial(await relayTo(server));
  const [error] = await once(pod, "error").catch((thrown: unknown) => [thrown]);
  expect(error).toMatchObject({ code: "ECONNRESET" });
});

test("a server's broken connection breaks the pod's", async () => {
  const relay = await relayTo(await listening((socket) => socket.once("data", () => socket.resetAndDestroy())));
  const pod = dial(relay);
  pod.write("request");
  const error = await text(pod).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: "ECONNRESET" });
});

test("takes another port when the usual one is in use, and ends connections when it stops", async () => {
  const server = await listening(() => {});
  const [first, second] = [await relayTo(server), await relayTo(server)];
  expect(second.listening.port).not.toBe(first.listening.port);
  const pod = dial(second);
  await once(pod, "connect");
  const broken = text(pod).catch((thrown: unknown) => thrown);
  await opened.pop()?.stop();
  expect(await broken).toMatchObject({ code: "ECONNRESET" });
});
