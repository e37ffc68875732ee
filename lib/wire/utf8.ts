import { badRequest } from "#base";

// The byte order mark is left to the parsers: JSON has none.
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Decodes UTF-8 as Go's JSON decoder does: each byte that belongs to no character becomes U+FFFD. */
export function utf8Text(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes);
  } catch {
    return strict.decode(repaired(bytes));
  }
}

/** Decodes UTF-8. Throws ApiError 400 in libyaml's words for a byte that belongs to no character. */
export function validUtf8Text(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes);
  } catch {
    throw badRequest("yaml: invalid leading UTF-8 octet");
  }
}

const replacement = [0xef, 0xbf, 0xbd];

function repaired(bytes: Uint8Array): Uint8Array {
  const result: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = lengthAt(bytes, at);
    if (length === 0) {
      result.push(...replacement);
      at++;
    } else {
      for (const end = at + length; at < end; at++) result.push(bytes[at]!);
    }
  }
  return Uint8Array.from(result);
}

/** How many bytes the character at a place has; 0 where none begins. */
function lengthAt(bytes: Uint8Array, at: number): number {
  const first = bytes[at]!;
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4) return 0;
  const length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  // Overlong forms, surrogates and values beyond Unicode show in the second byte.
  const least = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const most = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  for (let index = 1; index < length; index++) {
    const byte = bytes[at + index] ?? 0;
    if (byte < (index === 1 ? least : 0x80) || byte > (index === 1 ? most : 0xbf)) return 0;
  }
  return length;
}
