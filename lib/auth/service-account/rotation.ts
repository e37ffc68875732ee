import type { Clock } from "#base";
import { type DiscoveryDocument, discoveryDocuments } from "./discovery.ts";
import { type KeptKey, newKey, parseRetired, parseRing, publicOf, retire, ringText } from "./keys.ts";

const hour = 3_600_000;
const day = 24 * hour;
/** After this time a key gets a successor. */
const signsFor = 30 * day;
/** The time between a key's publication and its first signature: caches of the old list must have expired. */
const shownBefore = day;
/** Allowance for clock skew and for tokens that were issued just before the rotation. */
const slack = hour;

/** The storage of a key ring. */
export interface RingStore {
  /** `version` identifies the ring that was read. */
  read(): Promise<{ text: string; version: string }>;
  /** Replaces what was read. Throws an Error when another process has written since; the new version otherwise. */
  write(text: string, version: string): Promise<string>;
}

export interface RotationOptions {
  ring: RingStore;
  /** Publishes these documents in place of earlier ones. */
  publish: (documents: readonly DiscoveryDocument[]) => Promise<void>;
  issuer: string;
  clock: Clock;
  /** The longest lifetime of a token in seconds. */
  longestToken: number;
}

/** Whether a successor is due and missing. */
function needsKey(keys: readonly KeptKey[], now: number): boolean {
  const last = keys.at(-1);
  return !last || (last.from !== undefined && now - last.from >= signsFor);
}

/** Whether every token of a key has expired: its successor has signed for longer than the longest lifetime. */
function hasEnded(keys: readonly KeptKey[], key: KeptKey, now: number, life: number): boolean {
  const next = keys[keys.indexOf(key) + 1];
  return next?.from !== undefined && now - next.from > life + slack;
}

/**
 * Rotates a key ring and publishes it: creates the first key and a new one each month, and retires keys whose tokens
 * have all expired; their public half is kept for tokens in secrets, which do not expire. Safe to run again after a
 * crash at any point: a new key is stored first, then published, and gets its activation time only after that; an old
 * key is unpublished before it is retired. Every call publishes the current documents. Throws the errors of the store
 * and of `publish`.
 */
export async function tendRing({ ring, publish, issuer, clock, longestToken }: RotationOptions): Promise<void> {
  const now = clock.now();
  const kept = await ring.read();
  const keys = parseRing(kept.text);
  const isFirst = keys.length === 0;
  let { version } = kept;
  if (needsKey(keys, now)) {
    keys.push(newKey());
    version = await ring.write(ringText(keys, parseRetired(kept.text)), version);
  }
  const living = keys.filter((key) => !hasEnded(keys, key, now, longestToken * 1000));
  const ended = keys.filter((key) => !living.includes(key)).map(retire);
  const retired = [...parseRetired(kept.text), ...ended];
  await publish(await discoveryDocuments(issuer, living.map(publicOf)));
  const from = isFirst || living.length === 1 ? now : clock.now() + shownBefore;
  const settled = living.map((key) => ({ ...key, from: key.from ?? from }));
  if (ringText(settled) !== ringText(keys)) await ring.write(ringText(settled, retired), version);
}
