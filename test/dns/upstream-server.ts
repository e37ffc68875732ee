import { createSocket } from "node:dgram";
import { once } from "node:events";
import { decodeMessage, encodeMessage, type Message, parseName, type Question, type ResourceRecord } from "#agent/dns";

const address = (name: string, last: number, ttl: number): ResourceRecord => ({
  name: parseName(name)!,
  type: 1,
  class: 1,
  ttl,
  data: { head: Buffer.from([192, 0, 2, last]), names: [], tail: Buffer.alloc(0) },
});

const alias = (name: string, target: string): ResourceRecord => ({
  name: parseName(name)!,
  type: 5,
  class: 1,
  ttl: 60,
  data: { head: Buffer.alloc(0), names: [parseName(target)!], tail: Buffer.alloc(0) },
});

const records: ResourceRecord[] = [
  address("www.example.test", 80, 60),
  address("long.example.test", 81, 86_400),
  address("short.example.test", 82, 1),
  alias("chain.example.test", "www.example.test"),
];

const soa: ResourceRecord = {
  name: parseName("example.test")!,
  type: 6,
  class: 1,
  ttl: 300,
  data: {
    head: Buffer.alloc(0),
    names: [parseName("ns.example.test")!, parseName("admin.example.test")!],
    tail: Buffer.from("0000000100001c2000000708000151800000012c", "hex"),
  },
};

/** The answer of a server for names below example.test. */
export function upstreamAnswer(question: Question): Message {
  const name = question.name.toLowerCase();
  const owned = records.filter((record) => record.name === name);
  const target = owned.find(({ type }) => type === 5)?.data.names[0];
  const answers = [...owned, ...records.filter((record) => record.name === target)].filter(
    ({ type }) => type === question.type || type === 5,
  );
  return {
    id: 0,
    flags: 0x8580 | (owned.length > 0 ? 0 : 3),
    question,
    answers,
    authorities: answers.length > 0 ? [] : [soa],
    additionals: [],
  };
}

/** Such a server on loopback, as the one that others are forwarded to. */
export async function startUpstream(): Promise<{ port: number; asked: string[]; stop(): void }> {
  const socket = createSocket("udp4");
  const asked: string[] = [];
  socket.on("message", (packet, from) => {
    const query = decodeMessage(packet);
    if (!query?.question) return;
    asked.push(query.question.name);
    const answer = encodeMessage({ ...upstreamAnswer(query.question), id: query.id });
    socket.send(answer, from.port, from.address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return { port: socket.address().port, asked, stop: () => socket.close() };
}
