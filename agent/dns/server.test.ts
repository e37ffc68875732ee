import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer, type Server } from "node:net";
import { afterEach, expect, test } from "vitest";
import { silentLog, systemClock, systemRandom } from "#base";
import { Dice } from "#test/make";
import { decodeMessage } from "./decode.ts";
import { encodeMessage } from "./encode.ts";
import { ForwardCache } from "./forward-cache.ts";
import { Forwarder } from "./forwarder.ts";
import { FrameReader, frameOf } from "./frames.ts";
import { dataOf, flagBits, type Message, rcodeOf, rcodes, types } from "./message.ts";
import { parseName } from "./name.ts";
import { Resolver } from "./resolver.ts";
import { DnsServer } from "./server.ts";
import { Zone } from "./zone.ts";

const clock = systemClock;
const random = systemRandom;
const host = "127.0.0.1";
const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

const name = parseName("www.example.test")!;
const query = (changes: Partial<Message> = {}): Buffer =>
  encodeMessage({
    id: 7,
    flags: flagBits.recursionDesired,
    question: { name, type: types.A, class: 1 },
    answers: [],
    authorities: [],
    additionals: [],
    ...changes,
  });
const address = (last: number, ttl = 60) => ({
  name,
  type: types.A,
  class: 1,
  ttl,
  data: dataOf({ head: Buffer.from([192, 0, 2, last]) }),
});
const answer = (changes: Partial<Message> = {}): Message => ({
  ...decodeMessage(query())!,
  flags: flagBits.response | flagBits.recursionAvailable,
  answers: [address(1)],
  ...changes,
});

/** A server whose answers the test decides; undefined sends nothing. */
async function upstream(reply: (message: Message, times: number) => (Buffer | undefined)[], overTcp?: Message) {
  const udp = createSocket("udp4");
  const ports: number[] = [];
  const ids: number[] = [];
  udp.on("message", (packet, from) => {
    const message = decodeMessage(packet)!;
    ports.push(from.port);
    ids.push(message.id);
    for (const one of reply(message, ports.length)) if (one) udp.send(one, from.port, from.address);
  });
  udp.bind(0, host);
  await once(udp, "listening");
  closing.push(() => udp.close());
  const { port } = udp.address();
  if (overTcp) {
    const tcp: Server = createServer((socket) => {
      const frames = new FrameReader();
      socket.on("error", () => {});
      socket.on("data", (bytes) => {
        for (const packet of frames.push(bytes)) {
          socket.write(frameOf(encodeMessage({ ...overTcp, id: decodeMessage(packet)!.id })));
        }
      });
    });
    tcp.listen(port, host);
    await once(tcp, "listening");
    closing.push(() => tcp.close());
  }
  return { server: { address: host, port }, ports, ids };
}

const forwarder = (servers: { address: string; port: number }[], timeout = 2000) =>
  new Forwarder({ clock, random, log: silentLog, servers: async () => servers, timeout });

const asked = { question: { name, type: types.A, class: 1 }, edns: undefined, checkingDisabled: false };

async function serve(forward = forwarder([]).forward, options: { connections?: number; idle?: number } = {}) {
  const zone = new Zone({ domain: "cluster.local", addresses: [], now: () => 0 });
  const resolver = new Resolver(zone, forward);
  const server = await DnsServer.start({ resolver, clock, log: silentLog, address: host, port: 0, ...options });
  closing.push(() => server.stop());
  return server;
}

const lasts = ({ answers }: Message): number[] => answers.map(({ data }) => data.head[3]!);

test("ignores packets that do not answer the question", async () => {
  const { server, ports, ids } = await upstream((message) => [
    Buffer.from("no DNS"),
    encodeMessage(answer({ id: message.id ^ 1, answers: [address(66)] })),
    encodeMessage(answer({ id: message.id, flags: 0, answers: [address(67)] })),
    encodeMessage(answer({ id: message.id, question: { name: parseName("other")!, type: 1, class: 1 } })),
    encodeMessage(answer({ id: message.id, question: { name, type: 28, class: 1 }, answers: [] })),
    encodeMessage(answer({ id: message.id })),
  ]);
  const { forward } = forwarder([server]);
  const answers = await Promise.all(Array.from({ length: 20 }, () => forward(asked)));
  expect(answers.map(lasts)).toEqual(Array.from({ length: 20 }, () => [1]));
  // Ids and ports differ between questions.
  expect(new Set(ports).size).toBe(20);
  expect(new Set(ids).size).toBeGreaterThan(10);
});

test("asks over TCP when the answer is truncated", async () => {
  const { server } = await upstream(
    (message) => [encodeMessage(answer({ id: message.id, flags: 0x8380, answers: [] }))],
    answer({ answers: [address(1), address(2)] }),
  );
  expect(lasts(await forwarder([server]).forward(asked))).toEqual([1, 2]);
});

test("asks the next server, and the failed one last from then on", async () => {
  const silent = await upstream(() => []);
  const good = await upstream((message) => [encodeMessage(answer({ id: message.id }))]);
  const { forward } = forwarder([silent.server, good.server], 50);
  expect(lasts(await forward(asked))).toEqual([1]);
  expect(lasts(await forward(asked))).toEqual([1]);
  expect(silent.ports).toHaveLength(1);
  expect(good.ports).toHaveLength(2);
});

test("answers SERVFAIL when no server answers, and when there is none", async () => {
  const silent = await upstream(() => []);
  expect(rcodeOf(await forwarder([silent.server], 20).forward(asked))).toBe(rcodes.SERVFAIL);
  expect(silent.ports).toHaveLength(2);
  expect(rcodeOf(await forwarder([]).forward(asked))).toBe(rcodes.SERVFAIL);
  // A port without a server refuses.
  expect(rcodeOf(await forwarder([{ address: host, port: 1 }]).forward(asked))).toBe(rcodes.SERVFAIL);
});

test("stores answers with their limits of time", async () => {
  let now = 0;
  const given: Message[] = [];
  let times = 0;
  const cache = new ForwardCache({
    clock: { now: () => now, timer: clock.timer },
    exchange: async () => {
      times++;
      return given.shift()!;
    },
    capacity: 2,
  });
  const ttls = async (changes: object = {}): Promise<number[]> =>
    (await cache.forward({ ...asked, ...changes })).answers.map(({ ttl }) => ttl);
  given.push(answer({ answers: [address(1, 300), address(2, 20)] }));
  expect(await ttls()).toEqual([20, 20]);
  now = 19_000;
  expect(await ttls({ question: { ...asked.question, name: parseName("WWW.example.TEST")! } })).toEqual([1, 1]);
  expect(times).toBe(1);
  now = 20_000;
  given.push(answer({ answers: [address(1, 1)] }));
  expect(await ttls()).toEqual([5]);
  expect(times).toBe(2);
  // With DNSSEC, the answer is another one.
  given.push(answer({ answers: [address(1, 1000)] }));
  expect(await ttls({ edns: { size: 1232, dnssec: true, version: 0, extendedRcode: 0 } })).toEqual([30]);
  expect(times).toBe(3);
  // The least recently used answer makes room.
  given.push(answer({ answers: [address(3)] }), answer({ answers: [address(4)] }));
  await ttls({ checkingDisabled: true });
  await ttls();
  expect(times).toBe(5);
});

test("stores failures briefly, and neither truncated answers nor denials without a SOA", async () => {
  let times = 0;
  const timesFor = async (message: Message): Promise<number> => {
    times = 0;
    const exchange = async (): Promise<Message> => {
      times++;
      return message;
    };
    const cache = new ForwardCache({ clock, exchange });
    await cache.forward(asked);
    await cache.forward(asked);
    return times;
  };
  const soa = { ...address(1), type: types.SOA, data: dataOf({ names: ["", ""], tail: Buffer.alloc(20) }) };
  const denied = { flags: 0x8183, answers: [] };
  expect(await timesFor(answer({ flags: 0x8182, answers: [] }))).toBe(1);
  expect(await timesFor(answer({ ...denied, authorities: [soa] }))).toBe(1);
  expect(await timesFor(answer(denied))).toBe(2);
  expect(await timesFor(answer({ flags: 0x8380 }))).toBe(2);
  expect(await timesFor(answer({ flags: 0x8185, answers: [] }))).toBe(2);
});

test("asks the same question once at a time, and refuses too many", async () => {
  const waiting: ((message: Message) => void)[] = [];
  const exchange = (): Promise<Message> => new Promise((resolve) => waiting.push(resolve));
  const cache = new ForwardCache({ clock, exchange, concurrent: 1 });
  const both = Promise.all([cache.forward(asked), cache.forward(asked)]);
  const other = await cache.forward({ ...asked, question: { ...asked.question, type: 28 } });
  expect(rcodeOf(other)).toBe(rcodes.REFUSED);
  expect(waiting).toHaveLength(1);
  waiting[0]!(answer());
  expect((await both).map(lasts)).toEqual([[1], [1]]);
});

async function ask(port: number, packet: Buffer): Promise<Message> {
  const socket = createSocket("udp4");
  socket.send(packet, port, host);
  const [received] = (await once(socket, "message")) as [Buffer];
  socket.close();
  return decodeMessage(received)!;
}

test("answers over UDP and TCP at one port, with the client's name and id", async () => {
  const { server } = await upstream((message) => [encodeMessage(answer({ id: message.id }))]);
  const { port } = await serve(forwarder([server]).forward);
  const mixed = query({ question: { name: parseName("Www.ExamplE.test")!, type: types.A, class: 1 } });
  const overUdp = await ask(port, mixed);
  expect(overUdp).toMatchObject({ id: 7, question: { name: parseName("Www.ExamplE.test")! } });
  expect(lasts(overUdp)).toEqual([1]);
  const socket = connect(port, host);
  // Two questions in one segment, and answers in any order.
  socket.write(Buffer.concat([frameOf(mixed), frameOf(query({ id: 8 }))]));
  const frames = new FrameReader();
  const ids: number[] = [];
  for await (const bytes of socket) {
    ids.push(...frames.push(bytes as Buffer).map((packet) => decodeMessage(packet)!.id));
    if (ids.length === 2) break;
  }
  expect(ids.sort()).toEqual([7, 8]);
});

/** Packets that are no DNS, each with what the server answers: FORMERR, or nothing where even the header is missing. */
const nonsense: [name: string, packet: Buffer, rcode: number | undefined][] = [
  ["nothing", Buffer.alloc(0), undefined],
  ["a byte", Buffer.from("x"), undefined],
  ["a header of zeros", Buffer.alloc(12), rcodes.FORMERR],
  ["zeros", Buffer.alloc(5000), rcodes.FORMERR],
  ["a header with the largest counts", Buffer.from("000101ffffffffffffffff", "hex"), undefined],
  ["text", Buffer.from("GET / HTTP/1.1\r\nHost: dns\r\n\r\n"), rcodes.NOTIMP],
  ["a pointer to itself", Buffer.from("000101000001000000000000c00c00010001", "hex"), rcodes.FORMERR],
  ["pointers in a circle", Buffer.from("000101000001000000000000c00ec00c00010001", "hex"), rcodes.FORMERR],
  ["a chain of pointers", pointerChain(), rcodes.FORMERR],
  ["a name without an end", Buffer.from(`000101000001000000000000${"3f".repeat(60_000)}`, "hex"), rcodes.FORMERR],
];

/** A question whose name is a pointer to a pointer, and so on: each leads backwards, the first to itself. */
function pointerChain(): Buffer {
  const count = 4000;
  const packet = Buffer.alloc(12 + 2 * count + 4);
  packet.writeUInt16BE(0x0100, 2);
  packet.writeUInt16BE(1, 4);
  for (let index = 0; index < count; index++) packet.writeUInt16BE(0xc000 | (12 + 2 * (count - index)), 12 + 2 * index);
  return packet;
}

/** Random bytes behind a question's flags: whatever the answer, it must be an error. */
const noise = (seed: number): Buffer => {
  const dice = new Dice(seed);
  const bytes = Buffer.from(Array.from({ length: 12 + dice.below(700) }, () => dice.below(256)));
  bytes.writeUInt16BE(0x0100, 2);
  return bytes;
};

/** The answer over TCP; undefined when the packet is dropped: a question behind it is answered. */
async function askOverTcp(port: number, packet: Buffer): Promise<Message | undefined> {
  const socket = connect(port, host);
  socket.write(Buffer.concat([frameOf(packet), frameOf(query({ id: 4711 }))]));
  const frames = new FrameReader();
  const found: Message[] = [];
  for await (const bytes of socket) {
    found.push(...frames.push(bytes as Buffer).map((each) => decodeMessage(each)!));
    if (found.some(({ id }) => id === 4711)) break;
  }
  return found.find(({ id }) => id !== 4711);
}

// The rcodes are those of miekg/dns's DefaultMsgAcceptFunc and serveDNS.
test.each(nonsense)(
  "answers %s with an error, over UDP and TCP, and questions after it",
  async (_name, packet, rcode) => {
    const { port } = await serve();
    const overTcp = await askOverTcp(port, packet);
    expect(overTcp && rcodeOf(overTcp)).toBe(rcode);
    if (rcode !== undefined && packet.length < 9000) expect(rcodeOf(await ask(port, packet))).toBe(rcode);
    else {
      const socket = createSocket("udp4");
      await new Promise((resolve) => socket.send(packet, port, host, resolve));
      socket.close();
    }
    expect(rcodeOf(await ask(port, query()))).toBe(rcodes.SERVFAIL);
  },
);

test("answers random bytes with errors, over UDP and TCP", async () => {
  const { port } = await serve();
  for (let seed = 1; seed <= 200; seed++) {
    const packet = noise(seed);
    for (const answered of [await ask(port, packet), await askOverTcp(port, packet)]) {
      expect([seed, answered && rcodeOf(answered)]).toEqual([seed, rcodes.FORMERR]);
    }
  }
});

test("answers a question without one, and one after packets over the longest of UDP", async () => {
  const { port } = await serve();
  const socket = createSocket("udp4");
  await new Promise((resolve) => socket.send(Buffer.alloc(65_507, "\xff", "latin1"), port, host, resolve));
  socket.close();
  expect(rcodeOf(await ask(port, query()))).toBe(rcodes.SERVFAIL);
  expect(rcodeOf(await ask(port, query({ question: undefined })))).toBe(rcodes.FORMERR);
});

test("uses another port when its own is taken, for UDP and for TCP", async () => {
  const taken = createServer();
  taken.listen(0, host);
  await once(taken, "listening");
  closing.push(() => taken.close());
  const { port } = taken.address() as { port: number };
  const zone = new Zone({ domain: "cluster.local", addresses: [], now: () => 0 });
  const resolver = new Resolver(zone, forwarder([]).forward);
  const server = await DnsServer.start({ resolver, clock, log: silentLog, address: host, port });
  closing.push(() => server.stop());
  expect(server.port).not.toBe(port);
  expect(rcodeOf(await ask(server.port, query()))).toBe(rcodes.SERVFAIL);
});

test("closes TCP connections that are idle, that send slowly, and that are too many", async () => {
  const { port } = await serve(undefined, { connections: 2, idle: 100 });
  const idle = connect(port, host);
  const slow = connect(port, host);
  await Promise.all([once(idle, "connect"), once(slow, "connect")]);
  const surplus = connect(port, host);
  // Bytes of a message that is never whole do not extend the time.
  const drip = setInterval(() => slow.write("\x00"), 20);
  // A reset closes them, too: `once` would reject.
  const closed = [idle, slow, surplus].map(
    (socket) =>
      new Promise((resolve) =>
        socket
          .resume()
          .on("error", () => {})
          .on("close", resolve),
      ),
  );
  await Promise.all(closed);
  clearInterval(drip);
  expect(rcodeOf(await ask(port, query()))).toBe(rcodes.SERVFAIL);
});
