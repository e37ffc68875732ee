/** Chance as a thing that is passed in, so that tests own it. */
export interface Random {
  /** `length` uniformly random bytes. */
  bytes(length: number): Uint8Array;
  /** A number in [0, 1), for jitter; never for names or secrets. */
  fraction(): number;
}

/** The machine's own source, good enough for secrets. */
export const systemRandom: Random = {
  bytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
  fraction: () => Math.random(),
};

/** Upstream's alphabet for generated names: no vowels and no look-alikes, so that no words arise. */
const alphabet = "bcdfghjklmnpqrstvwxz2456789";

/** A random name suffix such as `generateName` appends, five characters unless told. */
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

/** A version 4 UUID (RFC 9562). */
export function uuid(random: Random): string {
  const bytes = random.bytes(16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
