import {
  classIn,
  dataOf,
  type Edns,
  flagBits,
  layoutOf,
  type Message,
  opcodeOf,
  opcodes,
  type Question,
  type RecordData,
  type ResourceRecord,
  rcodes,
  types,
} from "./message.ts";
import { longestName } from "./name.ts";

export const headerBytes = 12;

/** A packet is malformed. Not part of any public function's contract: all of them return. */
class FormatError extends Error {}

/** A question of a client, or why it is not answered from data: `drop` sends nothing. */
export type Request =
  | { outcome: "drop" }
  | { outcome: "refuse"; id: number; flags: number; rcode: number; question?: Question; edns?: Edns | undefined }
  | {
      outcome: "answer";
      id: number;
      flags: number;
      question: Question;
      /** The end of the question in the packet, in bytes. */
      questionEnd: number;
      edns?: Edns | undefined;
    };

const drop: Request = { outcome: "drop" };

/**
 * Reads a client's packet. Too short packets and answers are dropped; malformed ones and those with other than one
 * question are FORMERR, opcodes other than QUERY and NOTIFY NOTIMP, other classes REFUSED, other versions of EDNS
 * BADVERS, as by miekg/dns's DefaultMsgAcceptFunc and serveDNS and CoreDNS's Server.ServeDNS. Never throws.
 */
export function decodeRequest(packet: Buffer): Request {
  if (packet.length < headerBytes) return drop;
  const id = packet.readUInt16BE(0);
  const flags = packet.readUInt16BE(2);
  if ((flags & flagBits.response) !== 0) return drop;
  const opcode = opcodeOf(flags);
  if (opcode !== opcodes.QUERY && opcode !== opcodes.NOTIFY) {
    return { outcome: "refuse", id, flags, rcode: rcodes.NOTIMP };
  }
  const malformed: Request = { outcome: "refuse", id, flags, rcode: rcodes.FORMERR };
  const [questions, answers, authorities, additionals] = countsOf(packet);
  if (questions !== 1 || answers > 1 || authorities > 1 || additionals > 2) return malformed;
  try {
    const { question, end } = readQuestion(packet, headerBytes);
    let edns: Edns | undefined;
    // Usually there is nothing, or only the OPT record.
    let at = end;
    for (let index = 0; index < answers + authorities + additionals; index++) {
      const header = readRecordHeader(packet, at);
      if (header.type === types.OPT && index >= answers + authorities) edns = ednsOf(header);
      at = header.end;
    }
    if (question.class !== classIn) return { outcome: "refuse", id, flags, rcode: rcodes.REFUSED, question, edns };
    if (edns && edns.version !== 0) return { outcome: "refuse", id, flags, rcode: rcodes.BADVERS, question, edns };
    return { outcome: "answer", id, flags, question, questionEnd: end, edns };
  } catch (error) {
    if (error instanceof FormatError) return malformed;
    throw error;
  }
}

/** Reads any packet; undefined when it is malformed or has more than one question. Never throws. */
export function decodeMessage(packet: Buffer): Message | undefined {
  if (packet.length < headerBytes) return undefined;
  const [questions, answers, authorities, additionals] = countsOf(packet);
  if (questions > 1) return undefined;
  try {
    let at = headerBytes;
    let question: Question | undefined;
    if (questions === 1) ({ question, end: at } = readQuestion(packet, at));
    let edns: Edns | undefined;
    const section = (count: number): ResourceRecord[] => {
      const records: ResourceRecord[] = [];
      for (let index = 0; index < count; index++) {
        const header = readRecordHeader(packet, at);
        at = header.end;
        if (header.type === types.OPT) edns = ednsOf(header);
        else records.push(readRecord(packet, header));
      }
      return records;
    };
    return {
      id: packet.readUInt16BE(0),
      flags: packet.readUInt16BE(2),
      question,
      answers: section(answers),
      authorities: section(authorities),
      additionals: section(additionals),
      edns,
    };
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

const countsOf = (packet: Buffer): [number, number, number, number] => [
  packet.readUInt16BE(4),
  packet.readUInt16BE(6),
  packet.readUInt16BE(8),
  packet.readUInt16BE(10),
];

function readQuestion(packet: Buffer, start: number): { question: Question; end: number } {
  const { name, end } = readName(packet, start);
  if (end + 4 > packet.length) throw new FormatError("the question is cut off");
  return {
    question: { name, type: packet.readUInt16BE(end), class: packet.readUInt16BE(end + 2) },
    end: end + 4,
  };
}

interface RecordHeader {
  name: string;
  type: number;
  class: number;
  ttl: number;
  /** Where the data begins and ends. */
  start: number;
  end: number;
}

/** Bytes of type, class, TTL and length. */
const fixedBytes = 10;

function readRecordHeader(packet: Buffer, offset: number): RecordHeader {
  const { name, end } = readName(packet, offset);
  const start = end + fixedBytes;
  if (start > packet.length) throw new FormatError("a record is cut off");
  const dataEnd = start + packet.readUInt16BE(end + 8);
  if (dataEnd > packet.length) throw new FormatError("the data of a record is cut off");
  return {
    name,
    type: packet.readUInt16BE(end),
    class: packet.readUInt16BE(end + 2),
    ttl: packet.readUInt32BE(end + 4),
    start,
    end: dataEnd,
  };
}

const readRecord = (packet: Buffer, header: RecordHeader): ResourceRecord => ({
  name: header.name,
  type: header.type,
  class: header.class,
  ttl: header.ttl,
  data: readData(packet, header),
});

/** The result does not share memory with the packet. */
function readData(packet: Buffer, { type, start, end }: RecordHeader): RecordData {
  const layout = layoutOf(type);
  if (layout.names === 0) return dataOf({ head: Buffer.from(packet.subarray(start, end)) });
  const names: string[] = [];
  let at = start + layout.head;
  for (let index = 0; index < layout.names; index++) {
    const read = readName(packet, at);
    names.push(read.name);
    at = read.end;
  }
  if (at > end) throw new FormatError("a name does not end with its record");
  return dataOf({
    head: Buffer.from(packet.subarray(start, start + layout.head)),
    names,
    tail: Buffer.from(packet.subarray(at, end)),
  });
}

const ednsOf = ({ class: size, ttl }: RecordHeader): Edns => ({
  size,
  extendedRcode: ttl >>> 24,
  version: (ttl >>> 16) & 0xff,
  dnssec: (ttl & 0x8000) !== 0,
});

const pointerBits = 0xc0;

/** Pointers lead to an earlier place only, so they end; the length of the whole name is limited. */
function readName(packet: Buffer, start: number): { name: string; end: number } {
  let name = "";
  let at = start;
  let end = -1;
  // The part of the name that is not interrupted by a pointer begins here.
  let from = start;
  for (;;) {
    if (at >= packet.length) throw new FormatError("a name is cut off");
    const length = packet[at]!;
    if (length === 0) {
      name += packet.toString("latin1", from, at);
      if (name.length > longestName) throw new FormatError("a name is too long");
      return { name, end: end < 0 ? at + 1 : end };
    }
    if (length < 64) {
      at += 1 + length;
      if (name.length + at - from > longestName) throw new FormatError("a name is too long");
      continue;
    }
    if ((length & pointerBits) !== pointerBits || at + 1 >= packet.length) throw new FormatError("a malformed label");
    const target = ((length & 0x3f) << 8) | packet[at + 1]!;
    if (target >= from) throw new FormatError("a pointer that does not lead backwards");
    name += packet.toString("latin1", from, at);
    if (end < 0) end = at + 2;
    at = target;
    from = target;
  }
}
