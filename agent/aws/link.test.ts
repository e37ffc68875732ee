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
import { type AwsLink, startAwsLink } from "./link.ts";

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
  const said: string[] = [];
  server.on("connection", (socket, request) => {
    sockets.push(socket);
    requests.push(request);
    socket.on("message", (data) => said.push(String(data)));
  });
  const clock = handClock();
  const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/link`;
  const link: AwsLink = startAwsLink({ url, sign, clock, random: systemRandom, log: silentLog });
  const stopServer = async () => {
    for (const socket of sockets) socket.terminate();
    await new Promise((done) => server.close(done));
  };
  closing.push(stopServer, () => link.stop());
  return { clock, link, sockets, requests, said, stopServer };
}

const until = (what: () => unknown) => expect.poll(what, { timeout: 5000, interval: 5 }).toBeTruthy();

test("a connection is asked for with a signature, tells what is watched, and beats each 40 s", async () => {
  const { clock, link, requests, said } = await open();
  link.follow({ type: "core/services" });
  await until(() => said.length === 1);
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
  await until(() => said.length === 2);
  own.close();
  clock.move(2000);
  await until(() => said.length === 3);
  expect(said.map((text) => JSON.parse(text).watches)).toEqual([
    [{ type: "core/services" }],
    [{ type: "core/services" }, { type: "core/pods", fields: { "spec.nodeName": "i-1" } }],
    [{ type: "core/services" }],
  ]);
  clock.move(36_000);
  await until(() => said.length === 4);
  await new Promise((done) => setTimeout(done, 20));
  clock.move(40_000);
  await until(() => said.length === 5);
  expect(said.slice(3)).toEqual(Array(2).fill('{"action":"heartbeat"}'));
});

test("hints reach those who wait for their type", async () => {
  const { link, sockets, clock, said } = await open();
  const services = link.follow({ type: "core/services" });
  const pods = link.follow({ type: "core/pods" });
  await until(() => said.length === 1);
  const never = new AbortController();
  // The connection itself is a reason to look once.
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

test("a refusal, a break and age each lead to a new connection, and everybody looks", async () => {
  const { clock, link, sockets, said } = await open();
  const interest = link.follow({ type: "core/pods" });
  await until(() => said.length === 1);
  let looks = 0;
  const looking = (async () => {
    while (interest.hinted < 9) {
      await interest.moved(8, minute * 1000, new AbortController().signal);
      looks++;
    }
  })();
  let before = looks;
  const again = async (count: number) => {
    await expect
      .poll(
        () => {
          clock.move(500);
          return sockets.length === count && said.filter((text) => text.includes("watches")).length === count;
        },
        { timeout: 5000, interval: 5 },
      )
      .toBe(true);
    expect(looks).toBeGreaterThan(before);
    before = looks;
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
  await looking;
});

test("where pings were answered once, silence is an end; where they never were, it is not", async () => {
  const mute = await open({ autoPong: false });
  await until(() => mute.said.length === 1);
  for (let beats = 1; beats <= 3; beats++) {
    mute.clock.move(40_000);
    await until(() => mute.said.length === 1 + beats);
  }
  // One answer, then none any more.
  mute.sockets[0]!.pong();
  await new Promise((done) => setTimeout(done, 20));
  mute.clock.move(40_000);
  await until(() => mute.said.length === 5);
  mute.clock.move(40_000);
  await until(() => mute.sockets[0]!.readyState === 3);
});

test("a link that stays down is not alive", async () => {
  const { clock, link, stopServer, said } = await open();
  await until(() => said.length === 1);
  await stopServer();
  await until(() => !link.connected);
  expect(link.alive()).toBe(true);
  clock.move(41_000);
  expect(link.alive()).toBe(false);
});
