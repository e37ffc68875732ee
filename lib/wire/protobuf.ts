import protobuf from "protobufjs/minimal.js";
import { type FieldShape, isLeftOut, type MessageShape, type Shape } from "#api/meta";
import { badRequest, type Json, type JsonObject } from "#base";
import { isEnvelope, magic } from "./magic.ts";
import { readScalar, type Wire, wireOf, writeScalar } from "./scalars.ts";

/*
 * Kubernetes' protobuf: four magic bytes, then runtime.Unknown, whose `raw` holds the object. Messages are read and
 * written straight from the kinds' shapes; protobufjs does the wire format.
 */

export { encodeOpenapiV2 } from "./openapi-v2-encoder.ts";

export interface Envelope {
  apiVersion: string;
  kind: string;
  /** Reads the object; ApiError 400 when the bytes are no such message. */
  decode(shape: MessageShape): JsonObject;
}

/** Decodes the envelope; throws ApiError 400 for other bytes. */
export function decodeEnvelope(body: Uint8Array): Envelope {
  if (!isEnvelope(body))
    throw badRequest("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]");
  const envelope = { apiVersion: "", kind: "" };
  let raw: Uint8Array = new Uint8Array();
  guarded("runtime.Unknown", () => {
    const reader = protobuf.Reader.create(body.subarray(magic.length));
    eachField(reader, reader.len, (n) => {
      if (n === 2) raw = reader.bytes();
      else if (n === 1) {
        eachField(reader, reader.uint32() + reader.pos, (member) => {
          if (member === 1) envelope.apiVersion = reader.string();
          else if (member === 2) envelope.kind = reader.string();
          else return false;
          return true;
        });
      } else return false;
      return true;
    });
  });
  return {
    ...envelope,
    decode: (shape) =>
      guarded(shape.name, () => {
        const reader = protobuf.Reader.create(raw);
        return readMessage(shape, reader, reader.len, 0);
      }),
  };
}

function guarded<T>(what: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof RangeError || error instanceof Error) {
      throw badRequest(`unable to decode ${what} from protobuf: ${error.message}`);
    }
    throw error;
  }
}

/** Reads fields up to `end`; `take` returns whether it consumed the field. */
function eachField(reader: protobuf.Reader, end: number, take: (n: number, wire: number) => boolean): void {
  if (end > reader.len) throw new RangeError("a length runs past the end");
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (!take(tag >>> 3, tag & 7)) reader.skipType(tag & 7);
  }
}

interface Slot {
  name: string;
  field: FieldShape;
}

interface Layout {
  fields: Map<number, Slot>;
  /** Nested messages whose members JSON inlines, by field number. */
  nested: Map<number, Layout>;
  /** Members in the order in which they are written. */
  order: { n: number; slot?: Slot; nested?: Layout }[];
}

const layouts = new WeakMap<MessageShape, Layout>();

function layoutOf(shape: MessageShape): Layout {
  const known = layouts.get(shape);
  if (known) return known;
  const layout = emptyLayout();
  layouts.set(shape, layout);
  for (const [name, field] of shape.fields) {
    const { n, proto, gated } = field.facts;
    if (n === undefined || gated) continue;
    let home = layout;
    if (proto) {
      home = layout.nested.get(proto.n) ?? emptyLayout();
      layout.nested.set(proto.n, home);
    }
    home.fields.set(n, { name, field });
  }
  seal(layout);
  return layout;
}

const emptyLayout = (): Layout => ({ fields: new Map(), nested: new Map(), order: [] });

function seal(layout: Layout): void {
  for (const nested of layout.nested.values()) seal(nested);
  layout.order = [
    ...[...layout.fields].map(([n, slot]) => ({ n, slot })),
    ...[...layout.nested].map(([n, nested]) => ({ n, nested })),
  ].sort((a, b) => a.n - b.n);
}

function readMessage(shape: MessageShape, reader: protobuf.Reader, end: number, depth: number): JsonObject {
  if (depth > 100) throw new RangeError("messages nest too deep");
  const object: JsonObject = {};
  readInto(object, layoutOf(shape), reader, end, depth);
  return object;
}

function readInto(object: JsonObject, layout: Layout, reader: protobuf.Reader, end: number, depth: number): void {
  eachField(reader, end, (n, wire) => {
    const slot = layout.fields.get(n);
    if (slot) {
      readField(object, slot, reader, wire, depth);
      return true;
    }
    const nested = layout.nested.get(n);
    if (!nested) return false;
    readInto(object, nested, reader, reader.uint32() + reader.pos, depth + 1);
    return true;
  });
}

function readField(object: JsonObject, slot: Slot, reader: protobuf.Reader, wire: number, depth: number): void {
  const { name, field } = slot;
  const { shape } = field;
  if (shape.type === "list") {
    const list = (object[name] as Json[] | undefined) ?? [];
    const packed = wire === 2 && shape.item.type === "scalar" && wireOf(shape.item.scalar) !== "bytes";
    if (packed) {
      const end = reader.uint32() + reader.pos;
      while (reader.pos < end) list.push(readValue(shape.item, reader, depth));
    } else list.push(readValue(shape.item, reader, depth));
    object[name] = list;
    return;
  }
  if (shape.type === "map") {
    const map = (object[name] as JsonObject | undefined) ?? {};
    let key = "";
    let value: Json | undefined;
    eachField(reader, reader.uint32() + reader.pos, (n) => {
      if (n === 1) key = reader.string();
      else if (n === 2) value = readValue(shape.value, reader, depth);
      else return false;
      return true;
    });
    Object.defineProperty(map, key, {
      value: value ?? emptyOf(shape.value),
      enumerable: true,
      writable: true,
      configurable: true,
    });
    object[name] = map;
    return;
  }
  const value = readValue(shape, reader, depth);
  // Go writes fields that JSON would omit.
  if (value === undefined || isLeftOut(field, value)) return;
  object[name] = value;
}

function emptyOf(shape: Shape): Json {
  if (shape.type === "scalar") return wireOf(shape.scalar) === "varint" ? 0 : "";
  return shape.type === "list" ? [] : {};
}

function readValue(shape: Shape, reader: protobuf.Reader, depth: number): Json {
  if (shape.type === "scalar") return readScalar(shape.scalar, reader, eachField) as Json;
  if (shape.type === "message") return readMessage(shape, reader, reader.uint32() + reader.pos, depth + 1);
  // Maps of lists travel as a message with one repeated field, `items`.
  if (shape.type === "list") {
    const list: Json[] = [];
    eachField(reader, reader.uint32() + reader.pos, (n) => {
      if (n !== 1) return false;
      list.push(readValue(shape.item, reader, depth + 1));
      return true;
    });
    return list;
  }
  throw new Error("a map cannot stand here");
}

/** An object in its envelope. */
export function encodeEnvelope(
  type: { apiVersion: string; kind: string },
  shape: MessageShape,
  object: JsonObject,
): Uint8Array {
  const writer = protobuf.Writer.create();
  writer.uint32(tag(1, "bytes")).fork();
  writer.uint32(tag(1, "bytes")).string(type.apiVersion);
  writer.uint32(tag(2, "bytes")).string(type.kind);
  writer.ldelim();
  writer.uint32(tag(2, "bytes")).fork();
  writeMessage(shape, object, writer);
  writer.ldelim();
  writer.uint32(tag(3, "bytes")).string("");
  writer.uint32(tag(4, "bytes")).string("");
  const message = writer.finish();
  const bytes = new Uint8Array(magic.length + message.length);
  bytes.set(magic);
  bytes.set(message, magic.length);
  return bytes;
}

/** A watch event as one frame: its length in four bytes, then a WatchEvent, whose object has an envelope of its own. */
export function encodeWatchEvent(
  event: string,
  type: { apiVersion: string; kind: string },
  shape: MessageShape,
  object: JsonObject,
): Uint8Array {
  const writer = protobuf.Writer.create();
  writer.uint32(tag(1, "bytes")).string(event);
  writer.uint32(tag(2, "bytes")).fork();
  writer.uint32(tag(1, "bytes")).bytes(encodeEnvelope(type, shape, object));
  writer.ldelim();
  const message = writer.finish();
  const frame = Buffer.alloc(4 + message.length);
  frame.writeUInt32BE(message.length);
  frame.set(message, 4);
  return frame;
}

const tag = (n: number, wire: Wire): number => (n << 3) | (wire === "varint" ? 0 : wire === "fixed64" ? 1 : 2);

function writeMessage(shape: MessageShape, object: JsonObject, writer: protobuf.Writer): void {
  writeLayout(layoutOf(shape), object, writer);
}

function writeLayout(layout: Layout, object: JsonObject, writer: protobuf.Writer): void {
  for (const { n, slot, nested } of layout.order) {
    if (nested) {
      if (![...nested.fields.values()].some(({ name }) => object[name] !== undefined)) continue;
      writer.uint32(tag(n, "bytes")).fork();
      writeLayout(nested, object, writer);
      writer.ldelim();
      continue;
    }
    const value = object[slot!.name];
    if (value !== undefined && value !== null) writeField(n, slot!.field.shape, value, writer);
  }
}

function writeField(n: number, shape: Shape, value: Json, writer: protobuf.Writer): void {
  if (shape.type === "list") {
    for (const item of value as Json[]) writeField(n, shape.item, item, writer);
  } else if (shape.type === "map") {
    for (const [key, item] of Object.entries(value as JsonObject)) {
      writer.uint32(tag(n, "bytes")).fork();
      writer.uint32(tag(1, "bytes")).string(key);
      if (shape.value.type === "list") {
        writer.uint32(tag(2, "bytes")).fork();
        writeField(1, shape.value, item, writer);
        writer.ldelim();
      } else writeField(2, shape.value, item, writer);
      writer.ldelim();
    }
  } else if (shape.type === "message") {
    writer.uint32(tag(n, "bytes")).fork();
    writeMessage(shape, value as JsonObject, writer);
    writer.ldelim();
  } else {
    writer.uint32(tag(n, wireOf(shape.scalar)));
    writeScalar(shape.scalar, value, writer);
  }
}
