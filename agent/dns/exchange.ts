import { createSocket } from "node:dgram";
import { connect } from "node:net";
import type { Clock, Random } from "#base";
import { decodeMessage } from "./decode.ts";
import { encodeMessage } from "./encode.ts";
import { FrameReader, frameOf } from "./frames.ts";
import { flagBits, type Message } from "./message.ts";
import { lowerCase } from "./name.ts";
import type { ForwardedQuestion } from "./resolver.ts";

/** A server by its IP address. */
export interface ServerAddress {
  address: string;
  port: number;
}

export interface ExchangeOptions {
  clock: Clock;
  random: Random;
  /** Milliseconds for an answer, over UDP and again over TCP. */
  timeout: number;
}

/**
 * Asks one server: over UDP from a port of its own with a random id, and over TCP when the answer is truncated. Packets
 * that do not answer the question are ignored. Rejects when there is no answer in time.
 */
export async function exchange(
  server: ServerAddress,
  asked: ForwardedQuestion,
  options: ExchangeOptions,
): Promise<Message> {
  const query = queryOf(asked, options.random);
  const answer = await overUdp(server, query, options);
  return (answer.flags & flagBits.truncated) === 0 ? answer : await overTcp(server, query, options);
}

interface Query {
  packet: Buffer;
  /** The answer in a packet; undefined: it does not answer this query. */
  accept(packet: Buffer): Message | undefined;
}

function queryOf({ question, edns, checkingDisabled }: ForwardedQuestion, random: Random): Query {
  const [high = 0, low = 0] = random.bytes(2);
  const id = high * 256 + low;
  const packet = encodeMessage({
    id,
    flags: flagBits.recursionDesired | (checkingDisabled ? flagBits.checkingDisabled : 0),
    question,
    answers: [],
    authorities: [],
    additionals: [],
    edns: edns && { size: payloadBytes, dnssec: edns.dnssec, version: 0, extendedRcode: 0 },
  });
  const name = lowerCase(question.name);
  return {
    packet,
    accept: (received) => {
      const message = decodeMessage(received);
      if (!message || message.id !== id || (message.flags & flagBits.response) === 0) return undefined;
      const { question: answered } = message;
      const isSame =
        answered &&
        lowerCase(answered.name) === name &&
        answered.type === question.type &&
        answered.class === question.class;
      return isSame ? message : undefined;
    },
  };
}

/** The UDP payload that is accepted from servers: it fits into one packet of every usual network. */
const payloadBytes = 1232;

function overUdp(server: ServerAddress, query: Query, { clock, timeout }: ExchangeOptions): Promise<Message> {
  const socket = createSocket(server.address.includes(":") ? "udp6" : "udp4");
  return new Promise<Message>((resolve, reject) => {
    const timer = clock.timer(timeout, () => reject(new Error(`${server.address} does not answer`)));
    const end = (settle: () => void): void => {
      timer.cancel();
      settle();
    };
    socket.on("error", (error) => end(() => reject(error)));
    socket.on("message", (packet) => {
      const message = query.accept(packet);
      if (message) end(() => resolve(message));
    });
    // A connected socket receives only the server's packets, and its refusals.
    socket.connect(server.port, server.address, () => socket.send(query.packet));
  }).finally(() => {
    // Later errors are of no interest.
    socket.removeAllListeners("error").on("error", () => {});
    socket.close();
  });
}

function overTcp(server: ServerAddress, query: Query, { clock, timeout }: ExchangeOptions): Promise<Message> {
  const socket = connect(server.port, server.address);
  const frames = new FrameReader();
  return new Promise<Message>((resolve, reject) => {
    const timer = clock.timer(timeout, () => reject(new Error(`${server.address} does not answer over TCP`)));
    const end = (settle: () => void): void => {
      timer.cancel();
      settle();
    };
    socket.on("error", (error) => end(() => reject(error)));
    socket.on("close", () => end(() => reject(new Error(`${server.address} has closed the connection`))));
    socket.on("data", (bytes) => {
      for (const packet of frames.push(bytes)) {
        const message = query.accept(packet);
        if (message) end(() => resolve(message));
      }
    });
    socket.write(frameOf(query.packet));
  }).finally(() => socket.destroy());
}
