import { largestMessage } from "./encode.ts";

/** Messages over TCP have their length before them, in two bytes (RFC 1035, section 4.2.2). */
const prefixBytes = 2;

/** The message with its length. Throws a RangeError for one of more than 65,535 bytes. */
export function frameOf(message: Buffer): Buffer {
  if (message.length > largestMessage) throw new RangeError(`a DNS message of ${message.length} bytes`);
  const frame = Buffer.allocUnsafe(prefixBytes + message.length);
  frame.writeUInt16BE(message.length, 0);
  message.copy(frame, prefixBytes);
  return frame;
}

/** Splits one TCP stream into messages. It holds at most one message that is not complete. */
export class FrameReader {
  /** The first byte of a length whose second has not arrived. */
  #firstByte: number | undefined;
  #message: Buffer | undefined;
  #filled = 0;

  /** The messages that the next bytes of the stream complete. */
  push(bytes: Buffer): Buffer[] {
    const messages: Buffer[] = [];
    for (let at = 0; at < bytes.length; ) {
      if (this.#message) at += this.#fill(this.#message, bytes, at);
      else if (this.#firstByte === undefined) this.#firstByte = bytes[at++];
      else {
        this.#message = Buffer.allocUnsafe(this.#firstByte * 256 + bytes[at++]!);
        this.#firstByte = undefined;
        this.#filled = 0;
      }
      if (this.#message && this.#filled === this.#message.length) {
        messages.push(this.#message);
        this.#message = undefined;
      }
    }
    return messages;
  }

  /** Whether the stream is within a message. */
  get incomplete(): boolean {
    return this.#message !== undefined || this.#firstByte !== undefined;
  }

  /** The number of bytes that the message has taken. */
  #fill(message: Buffer, bytes: Buffer, at: number): number {
    const taken = bytes.copy(message, this.#filled, at);
    this.#filled += taken;
    return taken;
  }
}
