import { createInflate } from "node:zlib";
import { empty, number } from "./bytes.ts";
import { dictionary } from "./dictionary.ts";

/**
 * Header blocks go through one zlib stream per connection. The encoder writes stored blocks only, which
 * need neither a compressor nor SPDY's dictionary; every inflater reads them.
 */
export function headerEncoder(): (headers: Record<string, string>) => Buffer {
  let first = true;
  return (headers) => {
    const parts: Buffer[] = [number(Object.keys(headers).length)];
    for (const [name, value] of Object.entries(headers)) {
      for (const text of [name.toLowerCase(), value]) parts.push(number(Buffer.byteLength(text)), Buffer.from(text));
    }
    const plain = Buffer.concat(parts);
    const block = Buffer.alloc(5);
    block.writeUInt16LE(plain.length, 1);
    block.writeUInt16LE(plain.length ^ 0xffff, 3);
    const zlibStart = first ? Buffer.from([0x78, 0x01]) : empty;
    first = false;
    // An empty block makes inflaters emit what they have buffered.
    return Buffer.concat([zlibStart, block, plain, flush]);
  };
}

const flush = Buffer.from([0, 0, 0, 0xff, 0xff]);

/** Reads the other side's header blocks, which are one zlib stream with SPDY's dictionary. */
export function headerDecoder(): (block: Buffer) => Promise<Record<string, string>> {
  const inflate = createInflate({ dictionary });
  let plain: Buffer = empty;
  let wake = () => {};
  let broken: Error | undefined;
  inflate.on("data", (chunk: Buffer) => {
    plain = Buffer.concat([plain, chunk]);
    wake();
  });
  inflate.on("error", (error) => {
    broken = error;
    wake();
  });
  return async (block) => {
    inflate.write(block);
    for (;;) {
      if (broken) throw broken;
      const parsed = parseHeaders(plain);
      if (parsed) {
        plain = plain.subarray(parsed.length);
        return parsed.headers;
      }
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
}

function parseHeaders(plain: Buffer): { headers: Record<string, string>; length: number } | undefined {
  if (plain.length < 4) return undefined;
  const texts: string[] = [];
  let at = 4;
  for (let left = plain.readUInt32BE(0) * 2; left > 0; left--) {
    if (plain.length < at + 4) return undefined;
    const end = at + 4 + plain.readUInt32BE(at);
    if (plain.length < end) return undefined;
    texts.push(plain.toString("utf8", at + 4, end));
    at = end;
  }
  const headers: Record<string, string> = {};
  for (let index = 0; index < texts.length; index += 2) headers[texts[index]!.toLowerCase()] = texts[index + 1]!;
  return { headers, length: at };
}
