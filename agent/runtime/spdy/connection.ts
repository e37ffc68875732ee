import type { Duplex } from "node:stream";
import { RuntimeError } from "../port.ts";
import { empty, number, number31 } from "./bytes.ts";
import { frameParser } from "./frame-parser.ts";
import { headerDecoder, headerEncoder } from "./headers.ts";
import { SpdyStream, type StreamData } from "./stream.ts";

export interface SpdyOptions {
  /** Bytes that arrived together with the upgrade. */
  head?: Uint8Array | undefined;
  /**
   * Receives the streams that the other side opens, each with its number, and makes this side the server. Absent: they
   * are refused.
   */
  accept?: ((stream: Duplex, headers: Record<string, string>, id: number) => void) | undefined;
}

const frame = { synStream: 1, synReply: 2, reset: 3, ping: 6, goAway: 7 } as const;
const fin = 0x01;

/**
 * SPDY/3.1 over a connected socket, as Kubernetes uses it for exec, attach and port-forward: each side can end a stream
 * for itself. Neither side uses SPDY's flow control; the socket's own does.
 */
export class SpdyConnection {
  readonly #socket: Duplex;
  readonly #accept: SpdyOptions["accept"];
  readonly #streams = new Map<number, SpdyStream>();
  /** The streams that hold as much as they should: while there are any, the socket is not read. */
  readonly #full = new Set<number>();
  readonly #encodeHeaders = headerEncoder();
  readonly #decodeHeaders = headerDecoder();
  #nextId: number;
  #corked = false;

  constructor(socket: Duplex, { head, accept }: SpdyOptions = {}) {
    this.#socket = socket;
    this.#accept = accept;
    // Clients have odd numbers.
    this.#nextId = accept ? 2 : 1;
    const parse = frameParser(
      (start, body) => this.#onFrame(start, body),
      (error) => this.#fail(error),
    );
    socket.on("data", parse);
    socket.on("error", (error) => this.#fail(new RuntimeError("unavailable", error.message, { cause: error })));
    socket.on("close", () => this.#hangUp());
    // A connection has no half: a client that ends its own has left.
    if (accept) socket.on("end", () => socket.destroy());
    if (head?.length) parse(Buffer.from(head));
  }

  /** Opens a stream; the headers state its purpose. */
  open(headers: Record<string, string>): Duplex {
    const id = this.#nextId;
    this.#nextId += 2;
    const stream = this.#createStream(id);
    this.#control(frame.synStream, number(id), number(0), Buffer.alloc(2), this.#encodeHeaders(headers));
    return stream;
  }

  close(): void {
    this.#socket.destroy();
  }

  #onFrame(start: Buffer, body: Buffer): void | Promise<void> {
    const isLast = (start[4]! & fin) !== 0;
    if ((start[0]! & 0x80) === 0) {
      this.#streams.get(start.readUInt32BE(0))?.receive(body, isLast);
      return;
    }
    const type = start.readUInt16BE(2);
    if (type === frame.synReply && isLast) this.#streams.get(number31(body, 0))?.receive(empty, true);
    // Runtimes end a session by resetting its streams; the error stream carries the result.
    else if (type === frame.reset) this.#streams.get(number31(body, 0))?.receive(empty, true);
    // A ping of the other side is returned unchanged.
    else if (type === frame.ping && body.readUInt32BE(0) % 2 !== this.#nextId % 2) this.#control(frame.ping, body);
    // 3 is REFUSED_STREAM.
    else if (type === frame.synStream && !this.#accept) this.#control(frame.reset, body.subarray(0, 4), number(3));
    else if (type === frame.synStream) return this.#acceptStream(number31(body, 0), isLast, body.subarray(10));
  }

  async #acceptStream(id: number, isLast: boolean, headerBlock: Buffer): Promise<void> {
    const headers = await this.#decodeHeaders(headerBlock);
    const stream = this.#createStream(id);
    this.#control(frame.synReply, number(id), this.#encodeHeaders({}));
    if (isLast) stream.receive(empty, true);
    this.#accept?.(stream, headers, id);
  }

  #createStream(id: number): SpdyStream {
    const stream = new SpdyStream({
      data: (data, done) => this.#data(id, data, done),
      pause: () => {
        this.#full.add(id);
        this.#socket.pause();
      },
      resume: () => this.#resume(id),
      // 5 is CANCEL.
      cancel: () => this.#control(frame.reset, number(id), number(5)),
      gone: () => {
        this.#streams.delete(id);
        this.#resume(id);
      },
    });
    this.#streams.set(id, stream);
    return stream;
  }

  #resume(id: number): void {
    if (this.#full.delete(id) && this.#full.size === 0) this.#socket.resume();
  }

  #control(type: number, ...payload: Uint8Array[]): void {
    const body = Buffer.concat(payload);
    const start = Buffer.alloc(8);
    start.writeUInt16BE(0x8003, 0);
    start.writeUInt16BE(type, 2);
    start.writeUInt32BE(body.length, 4);
    if (!this.#socket.destroyed) this.#write(Buffer.concat([start, body]));
  }

  #data(id: number, { bytes, last }: StreamData, done: (error?: Error | null) => void): void {
    const start = Buffer.alloc(8);
    start.writeUInt32BE(id, 0);
    start.writeUInt32BE(bytes.length, 4);
    if (last) start[4] = fin;
    if (this.#socket.destroyed) {
      done(new RuntimeError("unavailable", "the connection to the runtime is closed"));
      return;
    }
    this.#write(start);
    if (bytes.length > 0) this.#write(bytes, (error) => done(error));
    else done();
  }

  /**
   * Sends everything of one turn of the event loop as one piece, after the turn's reads. The other side may have closed
   * the connection: a second write then fails before its last frames, such as the status of a command, are read, and
   * Node drops them. A runtime also begins a session when it has all streams, and may be done before the next turn.
   */
  #write(bytes: Uint8Array, done?: (error?: Error | null) => void): void {
    if (!this.#corked) {
      this.#corked = true;
      this.#socket.cork();
      setImmediate(() => {
        this.#corked = false;
        this.#socket.uncork();
      });
    }
    this.#socket.write(bytes, done);
  }

  #fail(error: Error): void {
    // A stream that has ended can still be read.
    for (const stream of [...this.#streams.values()]) if (!stream.hasEnded) stream.destroy(error);
    this.#streams.clear();
    this.#socket.destroy();
  }

  #hangUp(): void {
    for (const stream of [...this.#streams.values()]) stream.hangUp();
    this.#streams.clear();
  }
}
