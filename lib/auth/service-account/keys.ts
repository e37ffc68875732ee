import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { type Clock, serviceUnavailable } from "#base";

/** What every client library that checks tokens understands, AWS's among them. */
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
  /** The key that signs now. Throws ApiError 503 while there is none. */
  current(): Promise<SigningKey>;
  /** The keys whose tokens may be good, oldest first; looked up again where `kid` is given and none that is at hand. */
  public(kid?: string): Promise<readonly PublicKey[]>;
  /** Keys that only tokens in secrets may still be signed by. */
  retired(): Promise<readonly PublicKey[]>;
}

/** One key as it is kept. */
export interface KeptKey {
  kid: string;
  /** PKCS #8, PEM. */
  privateKey: string;
  /** When it begins to sign, in milliseconds; absent while nobody may know it yet. */
  from?: number;
}

/** Upstream's id of a key: the SHA-256 of what is public of it. */
const kidOf = (publicKey: KeyObject): string =>
  createHash("sha256")
    .update(publicKey.export({ type: "spki", format: "der" }))
    .digest("base64url");

export function newKey(from?: number): KeptKey {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: modulusBits });
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }) as string;
  return { kid: kidOf(publicKey), privateKey: pem, ...(from === undefined ? {} : { from }) };
}

/** What is left of a key that signs no more and is not published: tokens that lie in secrets outlive it. */
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

/** A ring of one key that signs from `now` (milliseconds) on. */
export const newRingText = (now: number): string => ringText([newKey(now)]);

/**
 * Reads a ring; empty for text that was never one, such as the random word that a new secret is born with. Throws an
 * Error for a ring that is damaged: its keys must not be given up for new ones.
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

/** The key that signs at a time: the last one whose time has come. */
export const signingAt = (keys: readonly KeptKey[], now: number): KeptKey | undefined =>
  keys
    .filter(({ from }) => from !== undefined && from <= now)
    .sort((a, b) => a.from! - b.from!)
    .at(-1);

export interface RingOptions {
  /** Reads the ring's text from where it is kept. */
  read: () => Promise<string>;
  clock: Clock;
  /** What was read is good for so long, in milliseconds. */
  maxAge: number;
}

/** Whoever sends tokens with ids that nobody knows does not make us read more often than this. Milliseconds. */
const readPause = 10_000;

/** The keys of a ring that is kept elsewhere and may be changed there. */
export function ringKeys({ read, clock, maxAge }: RingOptions): SigningKeys {
  let known: { at: number; ring: Promise<{ kept: KeptKey[]; keys: SigningKey[]; retired: PublicKey[] }> } | undefined;
  const load = async () => {
    const text = await read();
    const kept = parseRing(text);
    const keys = kept.map((key) => ({ ...publicOf(key), privateKey: createPrivateKey(key.privateKey) }));
    const retired = parseRetired(text).map(({ kid, publicKey }) => ({ kid, publicKey: createPublicKey(publicKey) }));
    return { kept, keys, retired };
  };
  /** `unless` says whether what is at hand will do. */
  const ringOf = async (unless: (ring: { kept: KeptKey[] }) => boolean) => {
    const now = clock.now();
    const age = known ? now - known.at : Number.POSITIVE_INFINITY;
    const isGood = known && age < maxAge && (age < readPause || unless(await known.ring));
    if (!known || !isGood) {
      const fresh = { at: now, ring: load() };
      // What failed is read again by the next one.
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
 * What all processes of a cluster on AWS must agree on: a key goes when its last token has ended, and a new one is
 * known everywhere before it signs.
 */
export const shared = {
  /** Seconds that a token lives at most: as EKS, so that a key that signs no more can go after a day. */
  longestToken: 86_400,
  /** What was read of the ring is good for so long, in milliseconds; a new key is known for a day before it signs. */
  keysAge: 5 * 60_000,
};
