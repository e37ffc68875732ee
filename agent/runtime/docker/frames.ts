/** A piece of a container's output. */
export interface Frame {
  stream: "stdout" | "stderr";
  bytes: Buffer;
}

const headerBytes = 8;
const stderrType = 2;

/** Splits the engine's multiplexed stream: 8 bytes of header with the stream and the length, then the bytes. */
export function frameSplitter(): (chunk: Buffer) => Frame[] {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    let bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const frames: Frame[] = [];
    while (bytes.length >= headerBytes) {
      const end = headerBytes + bytes.readUInt32BE(4);
      if (bytes.length < end) break;
      frames.push({ stream: bytes[0] === stderrType ? "stderr" : "stdout", bytes: bytes.subarray(headerBytes, end) });
      bytes = bytes.subarray(end);
    }
    rest = bytes;
    return frames;
  };
}
