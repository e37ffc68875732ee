import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import { SpdyConnection } from "#agent/runtime/spdy";
import { ChannelSocket } from "./channel-socket.ts";
import type { Channels, RequestedStreams, SessionStatus } from "./session.ts";

const channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;

type Size = { width: number; height: number };

const isDimension = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) < 65_536;

/** Go's decoder ignores the case of names, and some clients rely on it; absent members are 0. */
function sizeOf(text: string): Size | undefined {
  try {
    const members = Object.entries(JSON.parse(text) as object);
    const [width, height] = ["width", "height"].map(
      (name) => members.findLast(([key]) => key.toLowerCase() === name)?.[1] ?? 0,
    );
    return isDimension(width) && isDimension(height) ? { width, height } : undefined;
  } catch {
    return undefined;
  }
}

/** More than any JSON object of a size needs. */
const longestSize = 1024;

/** The size of a client's terminal. The last one is stored until the session is opened and listens. */
class TerminalSize {
  #rest = "";
  #last: Size | undefined;
  #listener: (size: Size) => void = () => {};

  /** Reads the next part of the client's text: JSON objects, with or without space between them. Ignores malformed ones. */
  read(part: string): void {
    const objects = (this.#rest + part).split(/(?<=\})/);
    const rest = objects.at(-1)!.endsWith("}") ? "" : objects.pop()!;
    this.#rest = rest.length > longestSize ? "" : rest;
    for (const text of objects) {
      const size = sizeOf(text);
      if (!size) continue;
      this.#last = size;
      this.#listener(size);
    }
  }

  onResize(listener: (size: Size) => void): void {
    this.#listener = listener;
    if (this.#last) listener(this.#last);
  }
}

/**
 * The final message of the error channel. Before v4 it is text, and empty after a success
 * (`v1WriteStatusFunc` of the kubelet's remotecommand).
 */
function finalMessage(protocol: string, status: SessionStatus): string {
  if (/^v[45]\./.test(protocol)) return JSON.stringify(status);
  return status.status === "Success" ? "" : (status.message ?? "");
}

/**
 * The channels of a session over the subprotocols `channel.k8s.io` and `base64.channel.k8s.io` with their versions, or
 * without a subprotocol (""), which is the first version. Only v5 can signal the end of standard input.
 */
export function webSocketChannels(socket: WebSocket, protocol: string, requested: RequestedStreams): Channels {
  const size = new TerminalSize();
  const client = new ChannelSocket(socket, protocol, (number, bytes) => {
    if (number === channel.resize) size.read(bytes.toString());
    if (number === channel.close && protocol.startsWith("v5")) closeChannel(client, bytes);
  });
  // Clients wait for an empty message on the lowest channel: it signals that the session is established.
  const lowest = requested.stdout ? channel.stdout : requested.stderr ? channel.stderr : channel.error;
  client.send(lowest, Buffer.alloc(0));
  return {
    stdin: requested.stdin ? client.inlet(channel.stdin) : undefined,
    stdout: requested.stdout ? client.outlet(channel.stdout) : undefined,
    stderr: requested.stderr ? client.outlet(channel.stderr) : undefined,
    onResize: (listener) => size.onResize(listener),
    onClose: (listener) => void socket.on("close", listener),
    finish: (status) =>
      new Promise((resolve) => {
        socket.once("close", () => resolve());
        if (socket.readyState !== socket.OPEN) return resolve();
        const message = finalMessage(protocol, status);
        if (message === "") return socket.close(1000);
        client.send(channel.error, Buffer.from(message), () => socket.close(1000));
      }),
  };
}

/**
 * A client of v5 ends a channel by naming it after the close signal. Malformed signals end the connection
 * (wsstream.Conn.handle).
 */
function closeChannel(client: ChannelSocket, bytes: Buffer): void {
  if (bytes.length === 1 && bytes[0]! <= channel.resize) client.end(bytes[0]!);
  else client.socket.terminate();
}

/** The time in which a client has to open the streams of its request. */
const setupMilliseconds = 30_000;

export interface SpdyClient {
  socket: Duplex;
  /** The bytes after the request. */
  head: Uint8Array;
  /** A version of `channel.k8s.io`; "" is the first. Sizes of a terminal exist since v3. */
  protocol: string;
}

/** The same over SPDY: one stream for each channel, identified by its `streamtype`. Resolves when all are open. */
export function spdyChannels({ socket, head, protocol }: SpdyClient, requested: RequestedStreams): Promise<Channels> {
  const names = ["error", ...(["stdin", "stdout", "stderr"] as const).filter((name) => requested[name])];
  if (requested.tty && /^v[345]\./.test(protocol)) names.push("resize");
  const streams = new Map<string, Duplex>();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      connection.close();
      reject(new Error("timed out waiting for client to create streams"));
    }, setupMilliseconds);
    const connection = new SpdyConnection(socket, {
      head,
      accept: (stream, { streamtype = "" }) => {
        stream.on("error", () => {});
        streams.set(streamtype, stream);
        if (!names.every((name) => streams.has(name))) return;
        clearTimeout(timer);
        resolve(over(streams, { socket, protocol }, () => connection.close()));
      },
    });
    socket.on("close", () => clearTimeout(timer));
  });
}

function over(
  streams: Map<string, Duplex>,
  { socket, protocol }: { socket: Duplex; protocol: string },
  close: () => void,
): Channels {
  const [stdin, stdout, stderr] = ["stdin", "stdout", "stderr"].map((name) => streams.get(name));
  for (const name of ["error", "stdout", "stderr"]) streams.get(name)?.resume();
  const resize = streams.get("resize");
  const size = new TerminalSize();
  resize?.on("data", (chunk: Buffer) => size.read(chunk.toString()));
  return {
    stdin,
    stdout,
    stderr,
    onResize: (listener) => size.onResize(listener),
    onClose: (listener) => void socket.on("close", listener),
    finish: async (status) => {
      const error = streams.get("error")!;
      await new Promise<void>((resolve) => {
        error.on("close", resolve);
        error.end(finalMessage(protocol, status), () => resolve());
      });
      for (const stream of streams.values()) if (!stream.writableEnded) stream.end();
      // The last frames are sent before the connection is closed.
      setImmediate(() => (socket.destroyed ? undefined : socket.end(close)));
    },
  };
}
