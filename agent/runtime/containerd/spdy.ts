import { request } from "node:http";
import { Duplex } from "node:stream";
import { RuntimeError } from "#agent/runtime";

/**
 * The client's half of SPDY/3.1 as container runtimes speak it for exec, attach and port-forward: one connection,
 * streams that each end can finish by itself. Taken instead of their WebSocket form because that one has no
 * end-of-file for stdin. Runtimes do not use SPDY's flow control; the socket's own does.
 */
export interface SpdyConnection {
  /** A new stream; the headers tell the other side what it is for. */
  open(headers: Record<string, string>): Duplex;
  close(): void;
}

const frame = { synStream: 1, synReply: 2, reset: 3, ping: 6, goAway: 7 } as const;
const fin = 0x01;

/** Connects to a streaming URL of the runtime, offering one protocol. Throws `notFound`, `unavailable` or `failed`. */
export function connectSpdy(url: string, protocol: string): Promise<SpdyConnection> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, {
      method: "POST",
      headers: { Connection: "Upgrade", Upgrade: "SPDY/3.1", "X-Stream-Protocol-Version": protocol },
    });
    outgoing.on("upgrade", (_response, socket, head) => resolve(spdyOver(socket, head)));
    outgoing.on("response", (response) => {
      const parts: Buffer[] = [];
      response.on("data", (part: Buffer) => parts.push(part));
      response.on("end", () => {
        const reason = response.statusCode === 404 ? "notFound" : "failed";
        reject(new RuntimeError(reason, Buffer.concat(parts).toString().trim() || `status ${response.statusCode}`));
      });
    });
    outgoing.on("error", (error) => reject(new RuntimeError("unavailable", error.message, { cause: error })));
    outgoing.end();
  });
}

/** SPDY over a connected socket; `head` is what came with the upgrade. */
export function spdyOver(socket: Duplex, head: Uint8Array): SpdyConnection {
  const streams = new Map<number, SpdyStream>();
  const headerBlock = headerEncoder();
  let nextId = 1;
  const control = (type: number, flags: number, ...payload: Uint8Array[]): void => {
    const body = Buffer.concat(payload);
    const start = Buffer.alloc(8);
    start.writeUInt16BE(0x8003, 0);
    start.writeUInt16BE(type, 2);
    start.writeUInt32BE(body.length, 4);
    start[4] = flags;
    if (!socket.destroyed) socket.write(Buffer.concat([start, body]));
  };
  const fail = (error: Error): void => {
    for (const stream of [...streams.values()]) stream.destroy(error);
    streams.clear();
    socket.destroy();
  };

  const onFrame = (start: Buffer, body: Buffer): void => {
    if ((start[0]! & 0x80) === 0) {
      const stream = streams.get(start.readUInt32BE(0));
      stream?.receive(body, (start[4]! & fin) !== 0);
      return;
    }
    const type = start.readUInt16BE(2);
    if (type === frame.synReply && (start[4]! & fin) !== 0) streams.get(number31(body, 0))?.receive(empty, true);
    // Runtimes end a session by resetting its streams; whether it went well stands on the error stream.
    else if (type === frame.reset) streams.get(number31(body, 0))?.receive(empty, true);
    // A ping with an even number is the server's; it wants its own number back.
    else if (type === frame.ping && body.readUInt32BE(0) % 2 === 0) control(frame.ping, 0, body);
    else if (type === frame.synStream) control(frame.reset, 0, body.subarray(0, 4), number(3));
  };
  const parser = frameParser(onFrame);
  socket.on("data", parser);
  socket.on("error", (error) => fail(new RuntimeError("unavailable", error.message, { cause: error })));
  socket.on("close", () => {
    for (const stream of [...streams.values()]) stream.hangUp();
    streams.clear();
  });
  if (head.length > 0) parser(Buffer.from(head));

  return {
    open: (headers) => {
      const id = nextId;
      nextId += 2;
      const stream = new SpdyStream({
        data: (bytes, last, done) => {
          const start = Buffer.alloc(8);
          start.writeUInt32BE(id, 0);
          start.writeUInt32BE(bytes.length, 4);
          if (last) start[4] = fin;
          if (socket.destroyed) return done(new RuntimeError("unavailable", "the connection to the runtime is closed"));
          socket.write(start);
          if (bytes.length > 0) socket.write(bytes, (error) => done(error));
          else done();
        },
        pause: () => socket.pause(),
        resume: () => socket.resume(),
        // 5 is CANCEL.
        cancel: () => control(frame.reset, 0, number(id), number(5)),
        gone: () => streams.delete(id),
      });
      streams.set(id, stream);
      control(frame.synStream, 0, number(id), number(0), Buffer.alloc(2), headerBlock(headers));
      return stream;
    },
    close: () => socket.destroy(),
  };
}

const empty = Buffer.alloc(0);
const flush = Buffer.from([0, 0, 0, 0xff, 0xff]);

function number(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value, 0);
  return bytes;
}
const number31 = (bytes: Buffer, at: number): number => bytes.readUInt32BE(at) & 0x7fffffff;

/**
 * Header blocks go through one zlib stream per connection. Ours holds stored blocks only, which need neither a
 * compressor nor SPDY's dictionary; every inflater reads them. The server's header blocks are never looked at.
 */
function headerEncoder(): (headers: Record<string, string>) => Buffer {
  let first = true;
  return (headers) => {
    const parts: Buffer[] = [number(Object.keys(headers).length)];
    for (const [name, value] of Object.entries(headers)) {
      for (const text of [name.toLowerCase(), value]) parts.push(number(Buffer.byteLength(text)), Buffer.from(text));
    }
    const plain = Buffer.concat(parts);
    const block = Buffer.alloc(5);
    block.writeUInt16LE(plain.length, 1);
    block.writeUInt16LE(plain.length ^ 0xffff, 3);
    const zlibStart = first ? Buffer.from([0x78, 0x01]) : empty;
    first = false;
    // An empty block makes inflaters hand out what they hold.
    return Buffer.concat([zlibStart, block, plain, flush]);
  };
}

function frameParser(onFrame: (start: Buffer, body: Buffer) => void): (chunk: Buffer) => void {
  let rest: Buffer = empty;
  return (chunk) => {
    let bytes = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
    while (bytes.length >= 8) {
      const length = bytes.readUIntBE(5, 3);
      if (bytes.length < 8 + length) break;
      onFrame(bytes.subarray(0, 8), bytes.subarray(8, 8 + length));
      bytes = bytes.subarray(8 + length);
    }
    rest = bytes.length > 0 ? Buffer.from(bytes) : empty;
  };
}

interface Wire {
  data(bytes: Uint8Array, last: boolean, done: (error?: Error | null) => void): void;
  pause(): void;
  resume(): void;
  cancel(): void;
  gone(): void;
}

/** One stream; its two directions end apart. */
class SpdyStream extends Duplex {
  readonly #wire: Wire;
  #ended = false;

  constructor(wire: Wire) {
    super({ allowHalfOpen: true });
    this.#wire = wire;
  }

  receive(bytes: Buffer, last: boolean): void {
    if (this.#ended || this.destroyed) return;
    if (bytes.length > 0 && !this.push(bytes)) this.#wire.pause();
    if (last) this.#end();
  }

  /** The connection has gone: what came is all there is. */
  hangUp(): void {
    this.#end();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.push(null);
    this.#wire.resume();
  }

  override _read(): void {
    this.#wire.resume();
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#wire.data(chunk, false, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#wire.data(empty, true, done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.#ended || !this.writableFinished) this.#wire.cancel();
    this.#wire.gone();
    done(error);
  }
}
