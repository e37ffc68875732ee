import { headerBytes } from "./decode.ts";
import { type Edns, flagBits, layoutOf, type Message, type ResourceRecord, types } from "./message.ts";
import { lowerCase } from "./name.ts";

/** The largest message, over TCP. */
export const largestMessage = 65_535;
/** The largest UDP payload for clients without EDNS, and the smallest limit for those with it. */
export const smallestLimit = 512;

/** Bytes of an OPT record without options. */
export const optBytes = 11;

/** Compression pointers have 14 bits. */
const farthestPointer = 0x3fff;

/** Every message is written here first; encoding is synchronous. The largest record may exceed the limit. */
const scratch = Buffer.allocUnsafe(3 * largestMessage);

/**
 * The message with compressed names, in at most `limit` bytes, for which records are omitted from the end and TC is
 * set, as by miekg/dns's Msg.Truncate. A limit below 512 bytes counts as 512. The result has its own memory.
 */
export function encodeMessage(message: Message, limit = largestMessage): Buffer {
  const { id, question, answers, authorities, additionals, edns } = message;
  const available = Math.max(limit, smallestLimit) - (edns ? optBytes : 0);
  const writer = new Writer();
  if (question) {
    writer.name(question.name, true);
    writer.number16(question.type);
    writer.number16(question.class);
  }
  let cut = false;
  const counts = [answers, authorities, additionals].map((records) => {
    let count = 0;
    for (const record of records) {
      if (cut) break;
      const before = writer.at;
      writer.record(record);
      if (writer.at > available) {
        writer.at = before;
        cut = true;
      } else count++;
    }
    return count;
  });
  if (edns) writer.opt(edns);
  scratch.writeUInt16BE(id, 0);
  scratch.writeUInt16BE(message.flags | (cut ? flagBits.truncated : 0), 2);
  scratch.writeUInt16BE(question ? 1 : 0, 4);
  scratch.writeUInt16BE(counts[0]!, 6);
  scratch.writeUInt16BE(counts[1]!, 8);
  scratch.writeUInt16BE(counts[2]! + (edns ? 1 : 0), 10);
  return Buffer.from(scratch.subarray(0, writer.at));
}

/** Writes the OPT record (RFC 6891) at `at`, which has room for 11 bytes. */
export function writeOpt(buffer: Buffer, at: number, { size, extendedRcode, version, dnssec }: Edns): void {
  buffer[at] = 0;
  buffer.writeUInt16BE(types.OPT, at + 1);
  buffer.writeUInt16BE(size, at + 3);
  buffer[at + 5] = extendedRcode;
  buffer[at + 6] = version;
  buffer.writeUInt16BE(dnssec ? 0x8000 : 0, at + 7);
  buffer.writeUInt16BE(0, at + 9);
}

/** Writes into the scratch memory, after the header. */
class Writer {
  at = headerBytes;
  /** Where suffixes of names are, by their lower case. */
  readonly #suffixes = new Map<string, number>();

  number16(value: number): void {
    scratch.writeUInt16BE(value, this.at);
    this.at += 2;
  }

  bytes(bytes: Buffer): void {
    bytes.copy(scratch, this.at);
    this.at += bytes.length;
  }

  /** Every name may be the target of pointers; with `compressed` it may have one itself. */
  name(name: string, compressed: boolean): void {
    const key = lowerCase(name);
    for (let from = 0; from < name.length; from += 1 + name.charCodeAt(from)) {
      const suffix = key.slice(from);
      const target = this.#suffixes.get(suffix);
      if (target !== undefined && compressed) {
        this.number16(0xc000 | target);
        return;
      }
      if (target === undefined && this.at <= farthestPointer) this.#suffixes.set(suffix, this.at);
      const length = 1 + name.charCodeAt(from);
      scratch.write(name.slice(from, from + length), this.at, length, "latin1");
      this.at += length;
    }
    scratch[this.at++] = 0;
  }

  record({ name, type, class: recordClass, ttl, data }: ResourceRecord): void {
    const before = this.at;
    this.name(name, true);
    this.number16(type);
    this.number16(recordClass);
    scratch.writeUInt32BE(ttl, this.at);
    const start = this.at + 6;
    this.at = start;
    this.bytes(data.head);
    for (const target of data.names) this.name(target, layoutOf(type).compressed);
    this.bytes(data.tail);
    const length = this.at - start;
    if (length > largestMessage) {
      // No packet holds it: the caller drops it.
      this.at = before + scratch.length;
      return;
    }
    scratch.writeUInt16BE(length, start - 2);
  }

  opt(edns: Edns): void {
    writeOpt(scratch, this.at, edns);
    this.at += optBytes;
  }
}
