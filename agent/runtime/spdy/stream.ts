import { Duplex } from "node:stream";
import { empty } from "./bytes.ts";

export interface StreamData {
  bytes: Uint8Array;
  /** No more data follows. */
  last: boolean;
}

/** What a stream does on its connection. */
export interface Wire {
  data(data: StreamData, done: (error?: Error | null) => void): void;
  pause(): void;
  resume(): void;
  cancel(): void;
  gone(): void;
}

/** One stream. Its two directions end independently. */
export class SpdyStream extends Duplex {
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

  /** The connection is closed: no more data will arrive. */
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
    this.#wire.data({ bytes: chunk, last: false }, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#wire.data({ bytes: empty, last: true }, done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.#ended || !this.writableFinished) this.#wire.cancel();
    this.#wire.gone();
    done(error);
  }
}
