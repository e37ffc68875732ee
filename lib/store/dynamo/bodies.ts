import { deflateRawSync, inflateRawSync } from "node:zlib";
import { requestEntityTooLarge } from "#base";
import type { Index } from "#store";
import type { Item } from "./client.ts";
import { type Context, persist } from "./context.ts";

/** Larger bodies are compressed where that makes them smaller. */
const compressAbove = 1024;
/**
 * Larger ones are split into parts. An item holds at most 400 KB, and a change may carry two bodies and two indexes.
 */
const inlineLimit = 150 * 1024;
const partSize = 380 * 1024;
const indexLimit = 40 * 1024;
/** The limit of upstream's store. */
const bodyLimit = 1.5 * 1024 * 1024;

/** A stored body: in the item, or in parts that are named by the revision. */
export interface Packed {
  deflated: boolean;
  bytes: Uint8Array;
  parts: number;
}

const tooLarge = (what: string, size: number, limit: number) =>
  requestEntityTooLarge(`${what} of ${size} bytes; the limit is ${limit}`);

/** Throws 413 above 1.5 MiB. */
export function pack(body: Uint8Array): Packed {
  if (body.length > bodyLimit) throw tooLarge("an object", body.length, bodyLimit);
  let bytes = body;
  if (body.length > compressAbove) {
    const smaller = deflateRawSync(body);
    if (smaller.length < body.length) bytes = smaller;
  }
  const parts = bytes.length > inlineLimit ? Math.ceil(bytes.length / partSize) : 0;
  return { deflated: bytes !== body, bytes, parts };
}

/** The attributes of a body; `prefix` keeps two of them in one item apart. */
export function bodyAttributes({ deflated, bytes, parts }: Packed, prefix = ""): Item {
  return {
    ...(deflated ? { [`${prefix}z`]: { BOOL: true } } : {}),
    ...(parts > 0 ? { [`${prefix}n`]: { N: String(parts) } } : { [`${prefix}b`]: { B: bytes } }),
  };
}

/** The parts of a body, as items of the objects table; `expires` in seconds for parts that expire. */
export function partsOf(type: string, revision: number, { bytes, parts }: Packed, expires?: number): Item[] {
  return Array.from({ length: parts }, (_, part) => ({
    ...partKey(type, revision, part),
    b: { B: bytes.subarray(part * partSize, (part + 1) * partSize) },
    ...(expires === undefined ? {} : { e: { N: String(expires) } }),
  }));
}

export const partKey = (type: string, revision: number, part: number): Item => ({
  p: { S: `part#${type}#${revision}` },
  k: { S: String(part).padStart(4, "0") },
});

export const partCount = (item: Item, prefix = ""): number => Number(item[`${prefix}n`]?.N ?? 0);

/** The body that an item holds or points to; undefined when it holds none, or when its parts are gone. */
export async function bodyOf(
  context: Context,
  type: string,
  revision: number,
  item: Item,
  prefix = "",
): Promise<Uint8Array | undefined> {
  const parts = partCount(item, prefix);
  const bytes = parts > 0 ? await readParts(context, type, revision, parts) : item[`${prefix}b`]?.B;
  if (!bytes) return undefined;
  return item[`${prefix}z`]?.BOOL ? inflate(bytes) : bytes;
}

async function readParts(context: Context, type: string, revision: number, parts: number) {
  const read = Array.from({ length: parts }, (_, part) =>
    persist(context, () =>
      context.dynamo.get({
        TableName: context.tables.objects,
        Key: partKey(type, revision, part),
        ConsistentRead: true,
      }),
    ),
  );
  const chunks = (await Promise.all(read)).map((found) => found.Item?.["b"]?.B);
  return chunks.every((chunk) => chunk !== undefined) ? Buffer.concat(chunks) : undefined;
}

/** A copy: zlib may return a view into a shared pool. */
const inflate = (bytes: Uint8Array): Uint8Array => new Uint8Array(inflateRawSync(bytes));

/** An index as an attribute: JSON, compressed where it is long. Throws 413 where it does not fit beside two bodies. */
export function indexAttribute(index: Index): Item[string] {
  const text = JSON.stringify(index);
  if (text.length <= compressAbove) return { S: text };
  const bytes = deflateRawSync(text);
  if (bytes.length > indexLimit) throw tooLarge("labels, fields and owners", bytes.length, indexLimit);
  return { B: bytes };
}

export function indexOf(attribute: Item[string] | undefined): Index {
  const text = attribute?.S ?? Buffer.from(inflateRawSync(attribute!.B!)).toString();
  return JSON.parse(text) as Index;
}
