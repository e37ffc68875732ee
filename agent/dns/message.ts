/** Types of records that the server knows by number; all others are opaque. */
export const types = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  OPT: 41,
  IXFR: 251,
  AXFR: 252,
} as const;

export const rcodes = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  /** Above 15: its high bits are in the OPT record. */
  BADVERS: 16,
} as const;

export const opcodes = { QUERY: 0, NOTIFY: 4 } as const;

export const classIn = 1;

/** The bits of a header's second word that are not the opcode or the rcode. */
export const flagBits = {
  response: 0x8000,
  authoritative: 0x0400,
  truncated: 0x0200,
  recursionDesired: 0x0100,
  recursionAvailable: 0x0080,
  authenticated: 0x0020,
  checkingDisabled: 0x0010,
} as const;

/** The data of a record: names are apart since they may be compressed. */
export interface RecordData {
  /** The bytes before the names. */
  head: Buffer;
  /** In wire form; see `name.ts`. */
  names: readonly string[];
  /** The bytes after the names. */
  tail: Buffer;
}

export interface ResourceRecord {
  /** In wire form; see `name.ts`. */
  name: string;
  type: number;
  class: number;
  /** Seconds. */
  ttl: number;
  data: RecordData;
}

export interface Question {
  /** In wire form, with the letters as sent; see `name.ts`. */
  name: string;
  type: number;
  class: number;
}

/** The OPT record of EDNS0 (RFC 6891), without its options. */
export interface Edns {
  /** The largest UDP payload that the sender accepts, in bytes. */
  size: number;
  version: number;
  /** The DO bit. */
  dnssec: boolean;
  /** The rcode's upper eight bits. */
  extendedRcode: number;
}

export interface Message {
  id: number;
  /** The header's second word: flags, opcode and the lower four bits of the rcode. */
  flags: number;
  question?: Question | undefined;
  answers: readonly ResourceRecord[];
  authorities: readonly ResourceRecord[];
  /** Without the OPT record. */
  additionals: readonly ResourceRecord[];
  edns?: Edns | undefined;
}

export const rcodeOf = ({ flags, edns }: Pick<Message, "flags" | "edns">): number =>
  (flags & 15) | ((edns?.extendedRcode ?? 0) << 4);

export const opcodeOf = (flags: number): number => (flags >> 11) & 15;

/** How the data of types with names is built (RFC 1035, RFC 2782, RFC 6672); the data of all others is only a head. */
export interface DataLayout {
  /** Bytes before the names. */
  head: number;
  names: number;
  /** Whether names may be compressed (RFC 3597, section 4). */
  compressed: boolean;
}

const opaque: DataLayout = { head: 0, names: 0, compressed: false };
const target: DataLayout = { head: 0, names: 1, compressed: true };
const preferred: DataLayout = { head: 2, names: 1, compressed: true };

const dname = 39;
const layouts = new Map<number, DataLayout>([
  [types.NS, target],
  [types.CNAME, target],
  [types.PTR, target],
  [types.MX, preferred],
  [types.SOA, { head: 0, names: 2, compressed: true }],
  [types.SRV, { head: 6, names: 1, compressed: false }],
  [dname, { head: 0, names: 1, compressed: false }],
]);

export const layoutOf = (type: number): DataLayout => layouts.get(type) ?? opaque;

const empty = Buffer.alloc(0);

export const dataOf = ({ head = empty, names = [], tail = empty }: Partial<RecordData>): RecordData => ({
  head,
  names,
  tail,
});
