/** A member of a tar archive: a file with bytes, a symbolic link, or a folder. */
export interface TarMember {
  path: string;
  bytes?: Uint8Array;
  link?: string;
  /** Permission bits. Defaults to 0o644 for files and 0o755 for folders. */
  mode?: number;
}

const block = 512;

/** An archive in ustar form; long paths get a pax header. */
export function packTar(members: TarMember[]): Buffer {
  const parts: Buffer[] = [];
  for (const { path, bytes, link, mode } of members) {
    const folder = !bytes && link === undefined;
    const name = folder ? `${path.replace(/\/$/, "")}/` : path;
    let pax = Buffer.alloc(0);
    if (Buffer.byteLength(name) > 100) pax = Buffer.concat([pax, paxRecord("path", name)]);
    if (link !== undefined && Buffer.byteLength(link) > 100) pax = Buffer.concat([pax, paxRecord("linkpath", link)]);
    if (pax.length > 0) parts.push(header({ name: "pax", type: "x", size: pax.length }), padded(pax));
    const type = link !== undefined ? "2" : folder ? "5" : "0";
    parts.push(header({ name, type, size: bytes?.length ?? 0, mode: mode ?? (folder ? 0o755 : 0o644), link }));
    if (bytes) parts.push(padded(bytes));
  }
  parts.push(Buffer.alloc(2 * block));
  return Buffer.concat(parts);
}

const padded = (bytes: Uint8Array): Buffer =>
  Buffer.concat([bytes, Buffer.alloc((block - (bytes.length % block)) % block)]);

function paxRecord(key: string, value: string): Buffer {
  const rest = ` ${key}=${value}\n`;
  let length = Buffer.byteLength(rest) + 1;
  while (Buffer.byteLength(String(length) + rest) !== length) length++;
  return Buffer.from(String(length) + rest);
}

interface Header {
  name: string;
  type: string;
  size: number;
  mode?: number;
  link?: string | undefined;
}

function header({ name, type, size, mode = 0o644, link = "" }: Header): Buffer {
  const bytes = Buffer.alloc(block);
  bytes.write(name, 0, 100);
  bytes.write(link, 157, 100);
  bytes.write(`${mode.toString(8).padStart(7, "0")}\0`, 100);
  bytes.write("0000000\0", 108);
  bytes.write("0000000\0", 116);
  bytes.write(`${size.toString(8).padStart(11, "0")}\0`, 124);
  bytes.write("00000000000\0", 136);
  bytes.write("        ", 148);
  bytes.write(type, 156);
  bytes.write("ustar\0" + "00", 257);
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  bytes.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return bytes;
}

/** The files and folders of an archive; devices and hard links are omitted. */
export function unpackTar(archive: Buffer): TarMember[] {
  const members: TarMember[] = [];
  let long: string | undefined;
  for (let at = 0; at + block <= archive.length; ) {
    const text = (from: number, length: number): string => {
      const field = archive.subarray(at + from, at + from + length);
      const end = field.indexOf(0);
      return field.toString("utf8", 0, end < 0 ? length : end);
    };
    if (archive[at] === 0) break;
    const size = Number.parseInt(text(124, 12).trim() || "0", 8);
    const mode = Number.parseInt(text(100, 8).trim() || "0", 8) & 0o7777;
    const type = text(156, 1);
    const prefix = text(345, 155);
    const name = long ?? (prefix === "" ? text(0, 100) : `${prefix}/${text(0, 100)}`);
    const bytes = archive.subarray(at + block, at + block + size);
    long = undefined;
    if (type === "x") long = / path=([^\n]*)\n/.exec(` ${bytes.toString()}`)?.[1];
    else if (type === "L") long = bytes.toString().replace(/\0+$/, "");
    else if (type === "5") members.push({ path: name, mode });
    else if (type === "2") members.push({ path: name, link: text(157, 100), mode });
    else if (type === "0" || type === "") members.push({ path: name, bytes, mode });
    at += block + Math.ceil(size / block) * block;
  }
  return members;
}
