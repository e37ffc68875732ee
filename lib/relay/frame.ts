/** One message between the ends. */
export interface Frame {
  /** The number of a piece, from 0. A frame without one carries no piece. */
  number?: number;
  /** The piece's bytes, at most `largestPiece`. Only the last piece may have none. */
  bytes?: Uint8Array;
  /** This piece is the last. */
  end?: true;
  /** All pieces below this number have arrived. */
  next: number;
  /** These have arrived too, rising. */
  beyond: number[];
  /** The sender has room for pieces below this number. */
  limit: number;
  /** Requests an answer at once. */
  ask?: true;
  /** The relay is over, for this reason. */
  reset?: string;
}

/** A frame as it travels in JSON; the bytes in Base64. */
export interface WireFrame {
  n?: number;
  d?: string;
  e?: 1;
  a: number;
  b?: number[];
  l: number;
  p?: 1;
  r?: string;
}

/**
 * Most bytes of a piece: in Base64 and with its envelope, a message stays below 32 KiB, which API Gateway accepts as
 * one frame and bills as one message.
 */
export const largestPiece = 22 * 1024;
const largestText = Math.ceil(largestPiece / 3) * 4;
const mostBeyond = 128;
const longestReason = 200;
/** No relay lasts long enough to need more. */
const largestNumber = 2 ** 40;

const names = new Set(["n", "d", "e", "a", "b", "l", "p", "r"]);
const isNumber = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) <= largestNumber;
const isFlag = (value: unknown): boolean => value === undefined || value === 1;

/** Checks the form of a received frame. Throws a TypeError that names the fault. The bytes are not decoded. */
export function wireOf(value: unknown): WireFrame {
  const refuse = (what: string): never => {
    throw new TypeError(`a frame's ${what}`);
  };
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new TypeError("no frame");
  const unknown = Object.keys(value).find((name) => !names.has(name));
  if (unknown !== undefined) refuse(`member ${unknown.slice(0, 20)} is unknown`);
  const { n, d, e, a, b, l, p, r } = value as Record<string, unknown>;
  if (!isNumber(a)) refuse("acknowledgement is no number");
  if (!isNumber(l)) refuse("limit is no number");
  if (!isFlag(e) || !isFlag(p)) refuse("flag is not 1");
  if (n === undefined ? d !== undefined || e !== undefined : !isNumber(n)) refuse("piece has no number");
  if (n !== undefined && d === undefined && e === undefined) refuse("piece is empty");
  if (d !== undefined && (typeof d !== "string" || d === "" || d.length > largestText || !/^[\w+/]+={0,2}$/.test(d)))
    refuse("bytes are too many or no Base64");
  if (r !== undefined && (typeof r !== "string" || r.length > longestReason)) refuse("reason is too long or no text");
  if (b !== undefined && !areRising(b, a as number)) refuse("list of pieces is too long or does not rise");
  return value as WireFrame;
}

function areRising(list: unknown, above: number): boolean {
  if (!Array.isArray(list) || list.length > mostBeyond) return false;
  return list.every((value, index) => isNumber(value) && value > (index === 0 ? above : list[index - 1]));
}

export const frameOf = ({ n, d, e, a, b, l, p, r }: WireFrame): Frame => ({
  ...(n === undefined ? {} : { number: n }),
  ...(d === undefined ? {} : { bytes: Buffer.from(d, "base64") }),
  ...(e === undefined ? {} : { end: true }),
  next: a,
  beyond: b ?? [],
  limit: l,
  ...(p === undefined ? {} : { ask: true }),
  ...(r === undefined ? {} : { reset: r }),
});

export const toWire = ({ number, bytes, end, next, beyond, limit, ask, reset }: Frame): WireFrame => ({
  ...(number === undefined ? {} : { n: number }),
  ...(bytes === undefined || bytes.length === 0
    ? {}
    : { d: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64") }),
  ...(end ? { e: 1 } : {}),
  a: next,
  ...(beyond.length === 0 ? {} : { b: beyond }),
  l: limit,
  ...(ask ? { p: 1 } : {}),
  ...(reset === undefined ? {} : { r: reset.slice(0, longestReason) }),
});
