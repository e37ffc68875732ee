import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { Sha256 } from "@aws-crypto/sha256-js";
import { SignatureV4 } from "@smithy/signature-v4";
import { afterEach, expect, test } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import { requestSigner } from "#aws/request-signer";
import { silentLog, systemRandom } from "#base";
import { handClock } from "#test/make";
import { AwsLink } from "./link.ts";

const credentials = { accessKeyId: "AKIAEXAMPLE", secretAccessKey: "secret" };
const sign = requestSigner({ region: "eu-west-1", credentials });
const minute = 60_000;

let closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.reverse()) await close();
  closing = [];
});

async function open({ autoPong = true, port = 0 } = {}) {
  const server = new WebSocketServer({ host: "127.0.0.1", port, autoPong });
  await once(server, "listening");
  const sockets: WebSocket[] = [];
  const requests: IncomingMessage[] = [];
  const received: string[] = [];
  server.on("connection", (socket, request) => {
    sockets.push(socket);
    requests.push(request);
    socket.on("message", (data) => received.push(String(data)));
  });
  const clock = handClock();
  const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/link`;
  const link = new AwsLink({ url, sign, clock, random: systemRandom, log: silentLog });
  const stopServer = async () => {
    for (const socket of sockets) socket.terminate();
    await new Promise((done) => server.close(done));
  };
  closing.push(stopServer, () => link.stop());
  return { clock, link, sockets, requests, received, stopServer };
}

const until = (what: () => unknown) => expect.poll(what, { timeout: 5000, interval: 5 }).toBeTruthy();

test("signs the connection, reports what is watched and sends a heartbeat every 40 s", async () => {
  const { clock, link, requests, received } = await open();
  link.follow({ type: "core/services" });
  await until(() => received.length === 1);
  expect(link.connected).toBe(true);
  const { headers, url } = requests[0]!;
  const signer = new SignatureV4({ service: "execute-api", region: "eu-west-1", credentials, sha256: Sha256 });
  const amzDate = String(headers["x-amz-date"]);
  const signed = await signer.sign(
    {
      ...{ method: "GET", protocol: "ws:", hostname: "127.0.0.1", path: url! },
      headers: { host: headers.host!, "x-amz-content-sha256": String(headers["x-amz-content-sha256"]) },
    },
    {
      signingDate: new Date(amzDate.replace(/(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z/, "$1-$2-$3T$4:$5:$6Z")),
    },
  );
  expect(headers["authorization"]).toBe(signed.headers["authorization"]);
  const own = link.follow({ type: "core/pods", fields: { "spec.nodeName": "i-1" } });
  link.follow({ type: "core/services" });
  clock.move(2000);
  await until(() => received.length === 2);
  own.close();
  clock.move(2000);
  await until(() => received.length === 3);
  expect(received.map((text) => JSON.parse(text).watches)).toEqual([
    [{ type: "core/services" }],
    [{ type: "core/services" }, { type: "core/pods", fields: { "spec.nodeName": "i-1" } }],
    [{ type: "core/services" }],
  ]);
  clock.move(36_000);
  await until(() => received.length === 4);
  await new Promise((done) => setTimeout(done, 20));
  clock.move(40_000);
  await until(() => received.length === 5);
  expect(received.slice(3)).toEqual(Array(2).fill('{"action":"heartbeat"}'));
});

test("passes hints to the subscriptions for their type", async () => {
  const { link, sockets, clock, received } = await open();
  const services = link.follow({ type: "core/services" });
  const pods = link.follow({ type: "core/pods" });
  await until(() => received.length === 1);
  const never = new AbortController();
  // A new connection is a reason to read once.
  await Promise.all([services.moved(7, minute, never.signal), pods.moved(7, minute, never.signal)]);
  let moved = "";
  void services.moved(7, minute, never.signal).then(() => {
    moved += "services";
  });
  void pods.moved(7, minute, never.signal).then(() => {
    moved += "pods";
  });
  sockets[0]!.send('{"type":"core/services","revision":7}');
  await until(() => services.hinted === 7);
  sockets[0]!.send('{"type":"core/pods","revision":8}');
  await until(() => moved === "pods");
  clock.move(7000);
  await until(() => moved === "podsservices");
});

test("reconnects after a refusal, a break and at the maximum age, and wakes every subscriber", async () => {
  const { clock, link, sockets, received } = await open();
  const subscription = link.follow({ type: "core/pods" });
  await until(() => received.length === 1);
  let reads = 0;
  const reading = (async () => {
    while (subscription.hinted < 9) {
      await subscription.moved(8, minute * 1000, new AbortController().signal);
      reads++;
    }
  })();
  let before = reads;
  const again = async (count: number) => {
    await expect
      .poll(
        () => {
          clock.move(500);
          return sockets.length === count && received.filter((text) => text.includes("watches")).length === count;
        },
        { timeout: 5000, interval: 5 },
      )
      .toBe(true);
    expect(reads).toBeGreaterThan(before);
    before = reads;
    expect(link.alive()).toBe(true);
  };
  sockets[0]!.send('{"message":"Internal server error","connectionId":"a","requestId":"b"}');
  await again(2);
  sockets[1]!.terminate();
  await again(3);
  const closed = once(sockets[2]!, "close");
  // Two steps for each heartbeat, and a ping after each step: its answer comes behind the heartbeat's own.
  for (let step = 0; step < 119 * 3 && sockets[2]!.readyState === 1; step++) {
    clock.move(minute / 3);
    sockets[2]!.ping();
    await Promise.race([once(sockets[2]!, "pong"), closed]);
  }
  expect((await closed)[0]).toBe(1000);
  await again(4);
  sockets[3]!.send('{"type":"core/pods","revision":9}');
  await reading;
});

test("ends a connection whose pings are no longer answered, but not one whose pings never were", async () => {
  const mute = await open({ autoPong: false });
  await until(() => mute.received.length === 1);
  for (let beats = 1; beats <= 3; beats++) {
    mute.clock.move(40_000);
    await until(() => mute.received.length === 1 + beats);
  }
  // One answer, then no more.
  mute.sockets[0]!.pong();
  await new Promise((done) => setTimeout(done, 20));
  mute.clock.move(40_000);
  await until(() => mute.received.length === 5);
  mute.clock.move(40_000);
  await until(() => mute.sockets[0]!.readyState === 3);
});

test("is not alive after it has been down for longer than a heartbeat", async () => {
  const { clock, link, stopServer, received } = await open();
  await until(() => received.length === 1);
  await stopServer();
  await until(() => !link.connected);
  expect(link.alive()).toBe(true);
  clock.move(41_000);
  expect(link.alive()).toBe(false);
});
