/** One block of RFC 7468: its type, whether it has headers, and its bytes. */
export interface PemBlock {
  type: string;
  hasHeaders: boolean;
  bytes: Uint8Array<ArrayBuffer>;
}

const block =
  /(?:^|\n)-----BEGIN ([^\r\n]*)-----[ \t\r]*\n((?:(?!-----BEGIN )[^\n]*\n)*?)-----END \1-----[ \t\r]*(?=\n|$)/g;
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/**
 * The well-formed PEM blocks of a text, in their order; everything between them and what is malformed is passed over
 * (Go's encoding/pem Decode).
 */
export function pemBlocks(text: string): PemBlock[] {
  return [...text.matchAll(block)].flatMap(([, type = "", body = ""]) => {
    const lines = body.split("\n");
    const headers = lines.findIndex((line) => !line.includes(":"));
    const content = lines
      .slice(headers < 0 ? lines.length : headers)
      .join("")
      .replace(/[ \t\r]/g, "");
    if (!base64.test(content)) return [];
    return [{ type, hasHeaders: headers !== 0, bytes: fromBase64(content) }];
  });
}

const fromBase64 = (text: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

/** The text of base64 data, byte for byte: PEM is ASCII. */
export const textOf = (data: string): string => atob(data);

/** Bytes as a PEM block. */
export function pemOf(type: string, bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  const lines = btoa(binary).match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${type}-----\n${lines.join("\n")}\n-----END ${type}-----\n`;
}
