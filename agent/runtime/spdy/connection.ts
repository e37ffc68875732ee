import { Duplex } from "node:stream";
import { createInflate } from "node:zlib";
import { RuntimeError } from "../port.ts";
import { dictionary } from "./dictionary.ts";

export interface SpdyConnection {
  /** A new stream; the headers tell the other side what it is for. */
  open(headers: Record<string, string>): Duplex;
  close(): void;
}

export interface SpdyOptions {
  /** What arrived together with the upgrade. */
  head?: Uint8Array;
  /** Takes the streams that the other side opens: then this end is the server. Without it they are refused. */
  accept?: (stream: Duplex, headers: Record<string, string>) => void;
}

const frame = { synStream: 1, synReply: 2, reset: 3, ping: 6, goAway: 7 } as const;
const fin = 0x01;

/**
 * SPDY/3.1 over a connected socket, as Kubernetes speaks it for exec, attach and port-forward: streams that each end
 * can finish by itself. Neither end uses SPDY's flow control; the socket's own does.
 */
export function spdyOver(socket: Duplex, { head, accept }: SpdyOptions = {}): SpdyConnection {
  const streams = new Map<number, SpdyStream>();
  const headerBlock = headerEncoder();
  const readHeaders = headerDecoder();
  // Clients have odd numbers.
  let nextId = accept ? 2 : 1;
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
    // What has come to its end can still be read.
    for (const stream of [...streams.values()]) if (!stream.hasEnded) stream.destroy(error);
    streams.clear();
    socket.destroy();
  };

  const onFrame = (start: Buffer, body: Buffer): void | Promise<void> => {
    if ((start[0]! & 0x80) === 0) {
      const stream = streams.get(start.readUInt32BE(0));
      stream?.receive(body, (start[4]! & fin) !== 0);
      return;
    }
    const type = start.readUInt16BE(2);
    if (type === frame.synReply && (start[4]! & fin) !== 0) streams.get(number31(body, 0))?.receive(empty, true);
    // Runtimes end a session by resetting its streams; whether it went well stands on the error stream.
    else if (type === frame.reset) streams.get(number31(body, 0))?.receive(empty, true);
    // A ping that is not ours goes back as it came.
    else if (type === frame.ping && body.readUInt32BE(0) % 2 !== nextId % 2) control(frame.ping, 0, body);
    // 3 is REFUSED_STREAM.
    else if (type === frame.synStream && !accept) control(frame.reset, 0, body.subarray(0, 4), number(3));
    else if (type === frame.synStream) return accepted(number31(body, 0), (start[4]! & fin) !== 0, body.subarray(10));
  };
  const accepted = async (id: number, last: boolean, block: Buffer): Promise<void> => {
    const headers = await readHeaders(block);
    const stream = makeStream(id);
    control(frame.synReply, 0, number(id), headerBlock({}));
    if (last) stream.receive(empty, true);
    accept?.(stream, headers);
  };
  const parser = frameParser(onFrame, fail);
  socket.on("data", parser);
  socket.on("error", (error) => fail(new RuntimeError("unavailable", error.message, { cause: error })));
  socket.on("close", () => {
    for (const stream of [...streams.values()]) stream.hangUp();
    streams.clear();
  });
  if (head?.length) parser(Buffer.from(head));

  const makeStream = (id: number): SpdyStream => {
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
    return stream;
  };
  return {
    open: (headers) => {
      const id = nextId;
      nextId += 2;
      const stream = makeStream(id);
      // The streams of a session and what is said on them at once go out together. A runtime begins when it has them
      // all, may be done before this process runs again, and a write after that would cost what it has sent.
      socket.cork();
      setImmediate(() => socket.uncork());
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
 * compressor nor SPDY's dictionary; every inflater reads them.
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

/** Reads the other side's header blocks, which are one zlib stream with SPDY's dictionary. */
function headerDecoder(): (block: Buffer) => Promise<Record<string, string>> {
  const inflate = createInflate({ dictionary });
  let plain: Buffer = empty;
  let wake = () => {};
  let broken: Error | undefined;
  inflate.on("data", (chunk: Buffer) => {
    plain = Buffer.concat([plain, chunk]);
    wake();
  });
  inflate.on("error", (error) => {
    broken = error;
    wake();
  });
  return async (block) => {
    inflate.write(block);
    for (;;) {
      if (broken) throw broken;
      const parsed = parseHeaders(plain);
      if (parsed) {
        plain = plain.subarray(parsed.length);
        return parsed.headers;
      }
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
}

function parseHeaders(plain: Buffer): { headers: Record<string, string>; length: number } | undefined {
  if (plain.length < 4) return undefined;
  const texts: string[] = [];
  let at = 4;
  for (let left = plain.readUInt32BE(0) * 2; left > 0; left--) {
    if (plain.length < at + 4) return undefined;
    const end = at + 4 + plain.readUInt32BE(at);
    if (plain.length < end) return undefined;
    texts.push(plain.toString("utf8", at + 4, end));
    at = end;
  }
  const headers: Record<string, string> = {};
  for (let index = 0; index < texts.length; index += 2) headers[texts[index]!.toLowerCase()] = texts[index + 1]!;
  return { headers, length: at };
}

/** Cuts bytes into frames. One that takes time holds up those after it. */
function frameParser(
  onFrame: (start: Buffer, body: Buffer) => void | Promise<void>,
  fail: (error: Error) => void,
): (chunk: Buffer) => void {
  let rest: Buffer = empty;
  let busy = false;
  const parse = (): void => {
    while (!busy && rest.length >= 8) {
      const length = rest.readUIntBE(5, 3);
      if (rest.length < 8 + length) return;
      const frame = rest;
      rest = rest.subarray(8 + length);
      const working = onFrame(frame.subarray(0, 8), frame.subarray(8, 8 + length));
      if (!working) continue;
      busy = true;
      working.then(
        () => {
          busy = false;
          parse();
        },
        (error) => fail(error),
      );
    }
  };
  return (chunk) => {
    rest = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
    parse();
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

  get hasEnded(): boolean {
    return this.#ended;
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
