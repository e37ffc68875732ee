import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { type Clock, serviceUnavailable } from "#base";

/** The algorithm that every client library supports, AWS's among them. */
export const algorithm = "RS256";
const modulusBits = 2048;

export interface PublicKey {
  kid: string;
  publicKey: KeyObject;
}

export interface SigningKey extends PublicKey {
  privateKey: KeyObject;
}

/** The keys of an issuer. */
export interface SigningKeys {
  /** The current signing key. Throws ApiError 503 while there is none. */
  current(): Promise<SigningKey>;
  /** The keys whose tokens may be valid, oldest first; read again for a `kid` that is not among them. */
  public(kid?: string): Promise<readonly PublicKey[]>;
  /** Retired keys, which are valid for tokens in secrets only. */
  retired(): Promise<readonly PublicKey[]>;
}

/** One stored key. */
export interface KeptKey {
  kid: string;
  /** PKCS #8, PEM. */
  privateKey: string;
  /** When it begins to sign, in milliseconds; absent until it has been published. */
  from?: number;
}

/** Upstream's id of a key: the SHA-256 of its public half. */
const kidOf = (publicKey: KeyObject): string =>
  createHash("sha256")
    .update(publicKey.export({ type: "spki", format: "der" }))
    .digest("base64url");

export function newKey(from?: number): KeptKey {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: modulusBits });
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }) as string;
  return { kid: kidOf(publicKey), privateKey: pem, ...(from === undefined ? {} : { from }) };
}

/** The public half of a retired key, which is not published: tokens in secrets outlive it. */
export interface RetiredKey {
  kid: string;
  /** SPKI, PEM. */
  publicKey: string;
}

export const retire = (key: KeptKey): RetiredKey => ({
  kid: key.kid,
  publicKey: publicOf(key).publicKey.export({ type: "spki", format: "pem" }) as string,
});

export const ringText = (keys: readonly KeptKey[], retired: readonly RetiredKey[] = []): string =>
  JSON.stringify({ keys, ...(retired.length > 0 ? { retired } : {}) }, null, 2);

/** A ring with one key that signs from `now` (milliseconds). */
export const newRingText = (now: number): string => ringText([newKey(now)]);

/**
 * Parses a ring; empty for text that was never one, such as the random text of a new secret. Throws an Error for a
 * damaged ring: its keys must not be replaced by new ones.
 */
export function parseRing(text: string): KeptKey[] {
  if (!text.trimStart().startsWith("{")) return [];
  const { keys } = JSON.parse(text) as { keys?: KeptKey[] };
  const isWhole = Array.isArray(keys) && keys.every(({ kid, privateKey }) => kid && privateKey);
  if (!isWhole) throw new Error("the ring of signing keys is damaged");
  return keys;
}

export const publicOf = ({ kid, privateKey }: KeptKey): PublicKey => ({ kid, publicKey: createPublicKey(privateKey) });

/** The retired keys of a ring, oldest first. */
export function parseRetired(text: string): RetiredKey[] {
  if (!text.trimStart().startsWith("{")) return [];
  return (JSON.parse(text) as { retired?: RetiredKey[] }).retired ?? [];
}

/** The signing key at a time: the last one that is active. */
export const signingAt = (keys: readonly KeptKey[], now: number): KeptKey | undefined =>
  keys
    .filter(({ from }) => from !== undefined && from <= now)
    .sort((a, b) => a.from! - b.from!)
    .at(-1);

export interface RingOptions {
  /** Reads the stored ring. */
  read: () => Promise<string>;
  clock: Clock;
  /** For how long the ring is cached, in milliseconds. */
  maxAge: number;
}

/** Tokens with unknown key ids cause a read of the ring at most once in this time. Milliseconds. */
const readPause = 10_000;

/** The keys of a stored ring that other processes may change. */
export function ringKeys({ read, clock, maxAge }: RingOptions): SigningKeys {
  let known: { at: number; ring: Promise<{ kept: KeptKey[]; keys: SigningKey[]; retired: PublicKey[] }> } | undefined;
  const load = async () => {
    const text = await read();
    const kept = parseRing(text);
    const keys = kept.map((key) => ({ ...publicOf(key), privateKey: createPrivateKey(key.privateKey) }));
    const retired = parseRetired(text).map(({ kid, publicKey }) => ({ kid, publicKey: createPublicKey(publicKey) }));
    return { kept, keys, retired };
  };
  /** `unless` returns whether the cached ring suffices. */
  const ringOf = async (unless: (ring: { kept: KeptKey[] }) => boolean) => {
    const now = clock.now();
    const age = known ? now - known.at : Number.POSITIVE_INFINITY;
    const isGood = known && age < maxAge && (age < readPause || unless(await known.ring));
    if (!known || !isGood) {
      const fresh = { at: now, ring: load() };
      // A failure is not cached: the next call reads again.
      fresh.ring.catch(() => {
        if (known === fresh) known = undefined;
      });
      known = fresh;
    }
    return known.ring;
  };
  return {
    async current() {
      const { kept, keys } = await ringOf((ring) => signingAt(ring.kept, clock.now()) !== undefined);
      const signing = signingAt(kept, clock.now());
      if (!signing) throw serviceUnavailable("the key that signs tokens has not been made yet");
      return keys.find(({ kid }) => kid === signing.kid)!;
    },
    async public(wanted) {
      const ring = await ringOf(({ kept }) => wanted === undefined || kept.some(({ kid }) => kid === wanted));
      return ring.keys;
    },
    async retired() {
      return (await ringOf(() => true)).retired;
    },
  } satisfies SigningKeys;
}

/**
 * Times that all processes of a cluster on AWS share: a key is retired when its last token has expired, and a new one
 * is known everywhere before it signs.
 */
export const shared = {
  /** The longest lifetime of a token in seconds, as on EKS: so a key can be retired a day after its last use. */
  longestToken: 86_400,
  /** For how long a ring is cached, in milliseconds; a new key is published a day before it signs. */
  keysAge: 5 * 60_000,
};
