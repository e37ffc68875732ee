import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect } from "node:net";
import { encodeMessage, FrameReader, frameOf, parseName } from "#agent/dns";
import type { Row } from "./questions.ts";

const types: Record<string, number> = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  HTTPS: 65,
  IXFR: 251,
  AXFR: 252,
  ANY: 255,
};

export const queryOf = ({ name, type, size, class: questionClass = 1 }: Row): Buffer =>
  encodeMessage({
    id: 0x1234,
    flags: 0x0100,
    question: { name: parseName(name)!, type: types[type]!, class: questionClass },
    answers: [],
    authorities: [],
    additionals: [],
    ...(size === undefined ? {} : { edns: { size, version: 0, dnssec: false, extendedRcode: 0 } }),
  });

/** Sends the packet over UDP and resolves with the answer. Rejects without one for some seconds. */
export async function askUdp(server: { address: string; port: number }, packet: Buffer): Promise<Buffer> {
  const socket = createSocket("udp4");
  try {
    socket.send(packet, server.port, server.address);
    const [answer] = (await once(socket, "message", { signal: AbortSignal.timeout(10_000) })) as [Buffer];
    return answer;
  } finally {
    socket.close();
  }
}

export async function askTcp(server: { address: string; port: number }, packet: Buffer): Promise<Buffer> {
  const socket = connect(server.port, server.address);
  try {
    socket.write(frameOf(packet));
    const frames = new FrameReader();
    for await (const bytes of socket) {
      const [answer] = frames.push(bytes as Buffer);
      if (answer) return answer;
    }
    throw new Error("the connection was closed without an answer");
  } finally {
    socket.destroy();
  }
}

export const ask = (server: { address: string; port: number }, row: Row): Promise<Buffer> =>
  (row.tcp ? askTcp : askUdp)(server, queryOf(row));
