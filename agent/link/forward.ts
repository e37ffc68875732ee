import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import type { StreamPort } from "#agent/runtime";
import { SpdyConnection } from "#agent/runtime/spdy";
import { messageOf } from "#base";
import { codecOf } from "./codec.ts";

export interface ForwardTarget {
  streams: StreamPort;
  sandboxId: string;
  /** The pod's name in errors. */
  label: string;
}

const failed = (port: number, { label }: ForwardTarget, error: unknown): string =>
  `error forwarding port ${port} to pod ${label}: ${messageOf(error)}`;

/** Port-forward over SPDY: for each connection a data and an error stream with the same request id. */
export function forwardOverSpdy(socket: Duplex, head: Uint8Array | undefined, target: ForwardTarget): Promise<void> {
  const pairs = new Map<string, { data?: Duplex; error?: Duplex; port: number }>();
  new SpdyConnection(socket, {
    head,
    accept: (stream, { streamtype = "", port = "", requestid = "" }) => {
      stream.on("error", () => {});
      // Old clients send no request id: their streams are paired by port.
      const id = requestid || port;
      const pair = pairs.get(id) ?? { port: Number(port) };
      if (streamtype === "data") pair.data = stream;
      else pair.error = stream;
      pairs.set(id, pair);
      if (!pair.data || !pair.error) return;
      pairs.delete(id);
      void connect({ data: pair.data, error: pair.error, port: pair.port }, target);
    },
  });
  return new Promise((resolve) => socket.on("close", resolve));
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
  const { socket, ports } = client;
  const codec = codecOf(client.protocol);
  const send = (channel: number, bytes: Uint8Array): void => {
    if (socket.readyState === socket.OPEN) codec.send(socket, { channel, bytes });
  };
  const insides = new Map<number, Duplex>();
  const waiting = new Map<number, Buffer[]>();
  socket.on("message", (data) => {
    const message = codec.read(data);
    if (!message) return;
    const { channel, bytes } = message;
    const inside = insides.get(channel);
    if (inside) inside.write(bytes);
    else waiting.set(channel, [...(waiting.get(channel) ?? []), bytes]);
  });
  socket.on("error", () => socket.terminate());
  socket.on("close", () => {
    for (const inside of insides.values()) inside.destroy();
  });
  await Promise.all(
    ports.map(async (port, index) => {
      const [data, error] = [index * 2, index * 2 + 1];
      const head = Buffer.from([port & 0xff, port >> 8]);
      send(data, head);
      send(error, head);
      try {
        const inside = await target.streams.forward(target.sandboxId, port);
        insides.set(data, inside);
        for (const bytes of waiting.get(data) ?? []) inside.write(bytes);
        for await (const bytes of inside as AsyncIterable<Uint8Array>) send(data, bytes);
      } catch (failure) {
        send(error, Buffer.from(failed(port, target, failure)));
      }
    }),
  );
  socket.close(1000);
}
