import { Readable, Writable } from "node:stream";
import type { WebSocket } from "ws";
import { type ChannelCodec, codecOf } from "./codec.ts";

/**
 * The channels of a WebSocket as streams. A stream that is not read pauses the socket, and with it the client; upstream's
 * wsstream.Conn blocks in the same way. Messages of channels that are not open are dropped.
 */
export class ChannelSocket {
  readonly socket: WebSocket;
  readonly #codec: ChannelCodec;
  readonly #inlets = new Map<number, Readable>();
  /** The inlets that hold as much as they should; the socket is paused while there are any. */
  readonly #full = new Set<number>();

  /** The inlets whose end has been pushed; it may still be unread. */
  readonly #ended = new Set<number>();

  /** `control` receives the messages of channels without an inlet. */
  constructor(socket: WebSocket, protocol: string, control?: (channel: number, bytes: Buffer) => void) {
    this.socket = socket;
    this.#codec = codecOf(protocol);
    socket.on("message", (data) => {
      const message = this.#codec.read(data);
      if (!message) return;
      const { channel, bytes } = message;
      const inlet = this.#inlets.get(channel);
      if (!inlet) control?.(channel, bytes);
      else if (bytes.length > 0 && !inlet.destroyed && !this.#ended.has(channel) && !inlet.push(bytes))
        this.#pause(channel);
    });
    socket.on("close", () => {
      for (const channel of this.#inlets.keys()) this.end(channel);
    });
    socket.on("error", () => socket.terminate());
  }

  /** What the client sends on a channel. Ends when the client disconnects; once it is destroyed, messages are dropped. */
  inlet(channel: number): Readable {
    const inlet = new Readable({
      read: () => this.#resume(channel),
      destroy: (error, done) => {
        this.#resume(channel);
        done(error);
      },
    });
    inlet.on("error", () => {});
    this.#inlets.set(channel, inlet);
    return inlet;
  }

  /** Ends the inlet of a channel, if it has one: its client sends no more. */
  end(channel: number): void {
    const inlet = this.#inlets.get(channel);
    if (!inlet || inlet.destroyed || this.#ended.has(channel)) return;
    this.#ended.add(channel);
    inlet.push(null);
  }

  /** An output: each chunk becomes a message of the channel, as fast as the client reads. */
  outlet(channel: number): Writable {
    return new Writable({
      write: (chunk: Buffer, _encoding, done) => this.send(channel, chunk, (error) => done(error)),
    });
  }

  send(channel: number, bytes: Uint8Array, done?: (error?: Error) => void): void {
    this.#codec.send(this.socket, { channel, bytes }, done);
  }

  #pause(channel: number): void {
    this.#full.add(channel);
    this.socket.pause();
  }

  #resume(channel: number): void {
    if (this.#full.delete(channel) && this.#full.size === 0) this.socket.resume();
  }
}
