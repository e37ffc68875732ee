import type protobuf from "protobufjs/minimal.js";
import type { Scalar } from "#api/meta";
import { canonicalMicroTime, canonicalQuantity, canonicalTime, goDuration } from "#api/meta";
import { formatTime, type Json, parseJson, parseTime, stringifyJson } from "#base";

/** The wire type of a scalar. */
export type Wire = "varint" | "fixed64" | "bytes";

export const wireOf = (scalar: Scalar): Wire => {
  if (scalar === "boolean" || scalar === "int32" || scalar === "int64") return "varint";
  return scalar === "double" ? "fixed64" : "bytes";
};

type Fields = (reader: protobuf.Reader, end: number, take: (n: number) => boolean) => void;

/** A whole number that fits a double as a number, anything larger as a bigint. */
function int64(value: unknown): number | bigint {
  const exact = typeof value === "number" ? BigInt(value) : BigInt(String(value));
  return exact >= BigInt(Number.MIN_SAFE_INTEGER) && exact <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(exact) : exact;
}

/** Reads one scalar; messages of scalar types (Time, Quantity, IntOrString …) become their JSON form. */
export function readScalar(scalar: Scalar, reader: protobuf.Reader, fields: Fields): Json | undefined {
  switch (scalar) {
    case "string":
      return reader.string();
    case "boolean":
      return reader.bool();
    case "int32":
      return reader.int32();
    case "int64":
      return int64(readVarint(reader));
    case "double":
      return reader.double();
    case "bytes":
      return Buffer.from(reader.bytes()).toString("base64");
    case "time":
    case "microTime":
      return readTime(scalar, reader, fields);
    case "quantity":
      return canonicalQuantity(readOne(reader, fields, 1, () => reader.string()) ?? "0");
    case "intOrString":
      return readIntOrString(reader, fields);
    case "fieldsV1":
    case "raw":
      return readRaw(reader, fields);
    case "duration":
      return goDuration(Number(int64(readOne(reader, fields, 1, () => readVarint(reader)) ?? 0)));
  }
}

function readOne<T>(reader: protobuf.Reader, fields: Fields, n: number, read: () => T): T | undefined {
  let value: T | undefined;
  fields(reader, reader.uint32() + reader.pos, (found) => {
    if (found !== n) return false;
    value = read();
    return true;
  });
  return value;
}

/** A signed 64-bit varint, whatever long arithmetic protobufjs found. */
function readVarint(reader: protobuf.Reader): bigint {
  let value = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n) {
    if (reader.pos >= reader.len) throw new RangeError("a number runs past the end");
    const byte = reader.buf[reader.pos++]!;
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return BigInt.asIntN(64, value);
  }
  throw new RangeError("a number is longer than 64 bits");
}

function writeVarint(value: bigint, writer: protobuf.Writer): void {
  let rest = BigInt.asUintN(64, value);
  const low = Number(rest & 0xffffffffn);
  rest >>= 32n;
  writer.int64({ low: low | 0, high: Number(rest) | 0, unsigned: false } as never);
}

function readTime(scalar: "time" | "microTime", reader: protobuf.Reader, fields: Fields): Json | undefined {
  let seconds = 0n;
  let nanos = 0;
  let seen = false;
  fields(reader, reader.uint32() + reader.pos, (n) => {
    if (n === 1) seconds = readVarint(reader);
    else if (n === 2) nanos = reader.int32();
    else return false;
    seen = true;
    return true;
  });
  // An empty message is Go's zero time, which JSON shows as null.
  if (!seen) return undefined;
  const at = formatTime(Number(seconds) * 1000).slice(0, 19);
  const fraction = String(nanos).padStart(9, "0").slice(0, 6);
  return scalar === "time" ? canonicalTime(`${at}Z`) : canonicalMicroTime(`${at}.${fraction}Z`);
}

function readIntOrString(reader: protobuf.Reader, fields: Fields): Json {
  let type = 0;
  let number = 0;
  let text = "";
  fields(reader, reader.uint32() + reader.pos, (n) => {
    if (n === 1) type = Number(readVarint(reader));
    else if (n === 2) number = reader.int32();
    else if (n === 3) text = reader.string();
    else return false;
    return true;
  });
  return type === 1 ? text : number;
}

function readRaw(reader: protobuf.Reader, fields: Fields): Json | undefined {
  const bytes = readOne(reader, fields, 1, () => reader.bytes());
  return bytes && bytes.length > 0 ? parseJson(new TextDecoder().decode(bytes)) : undefined;
}

function nanosOf(duration: string): bigint {
  let total = 0;
  for (const [, amount, unit] of duration.matchAll(/([\d.]+)(h|ms|m|s|us|µs|ns)/g)) {
    const scale = { h: 3.6e12, m: 6e10, s: 1e9, ms: 1e6, us: 1e3, µs: 1e3, ns: 1 }[unit!]!;
    total += Number(amount) * scale;
  }
  return BigInt(Math.round(duration.startsWith("-") ? -total : total));
}

/** Writes one scalar without its tag. */
export function writeScalar(scalar: Scalar, value: Json, writer: protobuf.Writer): void {
  switch (scalar) {
    case "string":
      writer.string(String(value));
      return;
    case "boolean":
      writer.bool(value === true);
      return;
    case "int32":
      writer.int32(Number(value));
      return;
    case "int64":
      writeVarint(BigInt(value as number | bigint), writer);
      return;
    case "double":
      writer.double(Number(value));
      return;
    case "bytes":
      writer.bytes(Buffer.from(String(value), "base64"));
      return;
  }
  writer.fork();
  writeWrapped(scalar, value, writer);
  writer.ldelim();
}

function writeWrapped(scalar: Scalar, value: Json, writer: protobuf.Writer): void {
  if (scalar === "time" || scalar === "microTime") {
    const text = String(value);
    const milliseconds = parseTime(`${text.slice(0, 19)}Z`);
    writer.uint32(8);
    writeVarint(BigInt(Math.floor(milliseconds / 1000)), writer);
    writer.uint32(16).int32(Number((text.slice(20).replace(/\D/g, "") || "0").padEnd(9, "0").slice(0, 9)));
  } else if (scalar === "quantity") writer.uint32(10).string(String(value));
  else if (scalar === "intOrString") {
    const text = typeof value === "string";
    writer.uint32(8);
    writeVarint(text ? 1n : 0n, writer);
    writer.uint32(16).int32(text ? 0 : Number(value));
    writer.uint32(26).string(text ? value : "");
  } else if (scalar === "duration") {
    writer.uint32(8);
    writeVarint(nanosOf(String(value)), writer);
  } else writer.uint32(10).bytes(new TextEncoder().encode(stringifyJson(value)));
}
