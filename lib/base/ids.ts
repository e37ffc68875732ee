/** Chance as a thing that is passed in, so that tests own it. */
export interface Random {
  /** `length` uniformly random bytes. */
  bytes(length: number): Uint8Array;
  /** A number in [0, 1), for jitter; never for names or secrets. */
  fraction(): number;
}

/** Bytes that are fetched at once: a call of the system's generator takes as long for these as for a few. */
const pool = new Uint8Array(4096);
let used = pool.length;

function pooled(length: number): Uint8Array {
  if (used + length > pool.length) {
    crypto.getRandomValues(pool);
    used = 0;
  }
  const bytes = pool.slice(used, used + length);
  // No secret stays behind in the pool.
  pool.fill(0, used, used + length);
  used += length;
  return bytes;
}

/** The machine's own source, good enough for secrets. */
export const systemRandom: Random = {
  bytes: (length) => (length <= 64 ? pooled(length) : crypto.getRandomValues(new Uint8Array(length))),
  fraction: () => Math.random(),
};

/** Upstream's alphabet for generated names: no vowels and no look-alikes, so that no words arise. */
const alphabet = "bcdfghjklmnpqrstvwxz2456789";

/** A random name suffix as for `generateName`. The length defaults to five characters. */
export function nameSuffix(random: Random, length = 5): string {
  let suffix = "";
  while (suffix.length < length) {
    for (const byte of random.bytes(length)) {
      // 243 = 9 x 27: bytes from there on would favour the first letters.
      if (byte < 243 && suffix.length < length) suffix += alphabet[byte % 27];
    }
  }
  return suffix;
}

const hexOf: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** A version 4 UUID (RFC 9562). */
export function uuid(random: Random): string {
  const bytes = random.bytes(16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  let text = "";
  for (let at = 0; at < 16; at++) {
    if (at === 4 || at === 6 || at === 8 || at === 10) text += "-";
    text += hexOf[bytes[at]!];
  }
  return text;
}
