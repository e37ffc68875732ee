import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { WebSocket } from "ws";
import type { StreamPort } from "#agent/runtime";
import { SpdyConnection } from "#agent/runtime/spdy";
import { messageOf } from "#base";
import { ChannelSocket } from "./channel-socket.ts";

export interface ForwardTarget {
  streams: StreamPort;
  sandboxId: string;
  /** The pod's name in errors. */
  label: string;
}

const failed = (port: number, { label }: ForwardTarget, error: unknown): string =>
  `error forwarding port ${port} to pod ${label}: ${messageOf(error)}`;

/** The time in which a client has to open the second stream of a pair. */
const pairMilliseconds = 30_000;

/** Port-forward over SPDY: for each connection a data and an error stream with the same request id. */
export function forwardOverSpdy(socket: Duplex, head: Uint8Array | undefined, target: ForwardTarget): Promise<void> {
  const waiting = new Map<string, { half: Half; timer: NodeJS.Timeout }>();
  const streams = new Set<Duplex>();
  new SpdyConnection(socket, {
    head,
    accept: (stream, headers, number) => {
      streams.add(stream);
      stream.on("error", () => {}).on("close", () => streams.delete(stream));
      const half = halfOf(stream, headers, number);
      const other = half && waiting.get(half.id);
      // Upstream resets streams with malformed headers, and ignores a second one of the same type.
      if (!half || other?.half.type === half.type) return void stream.destroy();
      if (!other) {
        const timer = setTimeout(() => {
          waiting.delete(half.id);
          if (half.type === "error") stream.end(`request ${half.id}: timed out waiting for streams`);
          else stream.destroy();
        }, pairMilliseconds);
        return void waiting.set(half.id, { half, timer });
      }
      waiting.delete(half.id);
      clearTimeout(other.timer);
      const [data, error] = half.type === "data" ? [half, other.half] : [other.half, half];
      void connect({ data: data.stream, error: error.stream, port: data.port }, target);
    },
  });
  return new Promise((resolve) => {
    socket.on("close", () => {
      for (const { timer } of waiting.values()) clearTimeout(timer);
      // A pod that neither reads nor writes would keep its connection.
      for (const stream of streams) stream.destroy();
      resolve();
    });
  });
}

/** One of the two streams of a connection. */
interface Half {
  stream: Duplex;
  type: "data" | "error";
  port: number;
  /** What both streams have in common. */
  id: string;
}

/**
 * Undefined for malformed headers. Old clients send no request id: they open the error stream first, and the data
 * stream has the next number (httpStreamHandler.requestID of cri-streaming).
 */
function halfOf(stream: Duplex, headers: Record<string, string>, number: number): Half | undefined {
  const { streamtype: type, port = "", requestid = "" } = headers;
  if (type !== "data" && type !== "error") return undefined;
  if (!/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535) return undefined;
  const id = requestid || String(type === "error" ? number : number - 2);
  return { stream, type, port: Number(port), id };
}

interface StreamPair {
  data: Duplex;
  error: Duplex;
  port: number;
}

async function connect({ data, error, port }: StreamPair, target: ForwardTarget): Promise<void> {
  error.resume();
  let message = "";
  try {
    const inside = await target.streams.forward(target.sandboxId, port);
    await join(data, inside);
  } catch (failure) {
    message = failed(port, target, failure);
  }
  error.end(message);
  if (!data.writableEnded) data.end();
}

/** Copies both ways until both sides have ended; rejects when the inner connection breaks. */
function join(outside: Duplex, inside: Duplex): Promise<void> {
  return new Promise((resolve, reject) => {
    inside.on("error", reject);
    inside.on("close", () => resolve());
    outside.on("close", () => inside.destroy());
    outside.pipe(inside);
    inside.pipe(outside);
  });
}

/** A client of plain WebSocket channels with its ports. */
export interface ChannelClient {
  socket: WebSocket;
  protocol: string;
  ports: number[];
}

/**
 * Port-forward over plain WebSocket channels: two channels for each port, data and error, each of which begins with
 * the port in two bytes, little-endian. There is one connection to each port.
 */
export async function forwardOverWebSocket(client: ChannelClient, target: ForwardTarget): Promise<void> {
  const { socket, protocol, ports } = client;
  const channels = new ChannelSocket(socket, protocol);
  await Promise.all(ports.map((port, index) => forwardChannels(channels, { port, data: index * 2 }, target)));
  socket.close(1000);
}

async function forwardChannels(
  channels: ChannelSocket,
  { port, data }: { port: number; data: number },
  target: ForwardTarget,
): Promise<void> {
  const head = Buffer.from([port & 0xff, port >> 8]);
  const [input, output, errors] = [channels.inlet(data), channels.outlet(data), channels.outlet(data + 1)];
  for (const one of [output, errors]) one.on("error", () => {}).write(head);
  const { socket } = channels;
  try {
    const inside = await target.streams.forward(target.sandboxId, port);
    if (socket.readyState !== socket.OPEN) return void inside.destroy();
    socket.once("close", () => inside.destroy());
    input.pipe(inside);
    await pipeline(inside, output);
  } catch (error) {
    await new Promise<void>((resolve) => errors.end(failed(port, target, error), () => resolve()));
  } finally {
    // Other ports of the client are still read.
    input.destroy();
  }
}
