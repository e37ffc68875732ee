export const empty = Buffer.alloc(0);

/** Four bytes, big-endian. */
export function number(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value, 0);
  return bytes;
}

/** Reads a number of 31 bits: the highest bit is reserved. */
export const number31 = (bytes: Buffer, at: number): number => bytes.readUInt32BE(at) & 0x7fffffff;
