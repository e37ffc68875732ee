import { type Duplex, Readable, Writable } from "node:stream";
import type { WebSocket } from "ws";
import { spdyOver } from "#agent/runtime/spdy";
import type { Asked, Channels } from "./session.ts";

const channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;

type Size = { width: number; height: number };

function sizeOf(text: string): Size | undefined {
  try {
    const { Width: width, Height: height } = JSON.parse(text) as { Width: number; Height: number };
    return { width, height };
  } catch {
    return undefined;
  }
}

/** An output of a socket: each piece behind its channel's number, no faster than the socket takes it. */
const outlet = (socket: WebSocket, number: number): Writable =>
  new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      socket.send(Buffer.concat([Buffer.from([number]), chunk]), (error) => done(error));
    },
  });

/** `v4.channel.k8s.io` and `v5.channel.k8s.io`: messages that begin with their channel's number. */
export function webSocketChannels(socket: WebSocket, protocol: string, asked: Asked): Channels {
  const stdin = new Readable({ read: () => socket.resume() });
  let onSize: (size: Size) => void = () => {};
  let lastSize: Size | undefined;
  const end = (): void => {
    if (!stdin.readableEnded && !stdin.destroyed) stdin.push(null);
  };
  let ended = false;
  socket.on("message", (data: Buffer) => {
    const bytes = data.subarray(1);
    if (data[0] === channel.stdin && !ended && bytes.length > 0 && !stdin.push(bytes)) socket.pause();
    if (data[0] === channel.resize) {
      lastSize = sizeOf(bytes.toString()) ?? lastSize;
      if (lastSize) onSize(lastSize);
    }
    if (protocol.startsWith("v5") && data[0] === channel.close && bytes[0] === channel.stdin && !ended) {
      ended = true;
      end();
    }
  });
  socket.on("close", () => {
    if (!ended) end();
    ended = true;
  });
  socket.on("error", () => socket.terminate());
  return {
    ...(asked.stdin ? { stdin } : {}),
    ...(asked.stdout ? { stdout: outlet(socket, channel.stdout) } : {}),
    ...(asked.stderr ? { stderr: outlet(socket, channel.stderr) } : {}),
    onResize: (listener) => {
      onSize = listener;
      if (lastSize) listener(lastSize);
    },
    onClose: (listener) => void socket.on("close", listener),
    finish: (status) =>
      new Promise((resolve) => {
        socket.once("close", () => resolve());
        if (socket.readyState !== socket.OPEN) return resolve();
        socket.send(Buffer.concat([Buffer.from([channel.error]), Buffer.from(JSON.stringify(status))]), () =>
          socket.close(1000),
        );
      }),
  };
}

/** How long a client may take to open the streams that it asked for. */
const patience = 30_000;

/** The same over SPDY: a stream for each, told apart by its `streamtype`. Resolves when all are open. */
export function spdyChannels(socket: Duplex, head: Uint8Array, asked: Asked): Promise<Channels> {
  const wanted = ["error", ...(["stdin", "stdout", "stderr"] as const).filter((name) => asked[name])];
  if (asked.tty) wanted.push("resize");
  const streams = new Map<string, Duplex>();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      connection.close();
      reject(new Error("timed out waiting for client to create streams"));
    }, patience);
    const connection = spdyOver(socket, {
      head,
      accept: (stream, { streamtype = "" }) => {
        stream.on("error", () => {});
        streams.set(streamtype, stream);
        if (!wanted.every((name) => streams.has(name))) return;
        clearTimeout(timer);
        resolve(over(streams, socket, () => connection.close()));
      },
    });
    socket.on("close", () => clearTimeout(timer));
  });
}

function over(streams: Map<string, Duplex>, socket: Duplex, close: () => void): Channels {
  const [stdin, stdout, stderr] = ["stdin", "stdout", "stderr"].map((name) => streams.get(name));
  for (const name of ["error", "stdout", "stderr"]) streams.get(name)?.resume();
  const resize = streams.get("resize");
  let onSize: (size: Size) => void = () => {};
  let rest = "";
  resize?.on("data", (chunk: Buffer) => {
    // JSON objects one after the other, with or without a newline between.
    const parts = (rest + chunk.toString()).split(/(?<=\})/);
    rest = parts.at(-1)?.endsWith("}") ? "" : (parts.pop() ?? "");
    const size = sizeOf(parts.at(-1) ?? "");
    if (size) onSize(size);
  });
  return {
    ...(stdin ? { stdin } : {}),
    ...(stdout ? { stdout } : {}),
    ...(stderr ? { stderr } : {}),
    onResize: (listener) => {
      onSize = listener;
    },
    onClose: (listener) => void socket.on("close", listener),
    finish: async (status) => {
      const error = streams.get("error")!;
      await new Promise<void>((resolve) => {
        error.on("close", resolve);
        error.end(JSON.stringify(status), () => resolve());
      });
      for (const stream of streams.values()) if (!stream.writableEnded) stream.end();
      // The last frames go out before the connection does.
      setImmediate(() => (socket.destroyed ? undefined : socket.end(close)));
    },
  };
}
