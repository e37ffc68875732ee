import type { Clock } from "#base";
import { type DiscoveryDocument, discoveryDocuments } from "./discovery.ts";
import { type KeptKey, newKey, parseRetired, parseRing, publicOf, retire, ringText } from "./keys.ts";

const hour = 3_600_000;
const day = 24 * hour;
/** A key that has signed for so long gets a successor. */
const signsFor = 30 * day;
/** Between a key's first publication and its first signature: whoever keeps the old list must have asked again. */
const shownBefore = day;
/** Clocks differ, and a token may have been asked for just before the turn. */
const slack = hour;

/** Where a ring of keys is kept. */
export interface RingStore {
  /** `version` names what was read. */
  read(): Promise<{ text: string; version: string }>;
  /** Replaces what was read. Throws an Error when somebody else has written since; the new version otherwise. */
  write(text: string, version: string): Promise<string>;
}

export interface RotationOptions {
  ring: RingStore;
  /** Shows these documents, and forgets what was shown before. */
  publish: (documents: readonly DiscoveryDocument[]) => Promise<void>;
  issuer: string;
  clock: Clock;
  /** Seconds that a token can live at most. */
  longestToken: number;
}

/** A successor is due, and none is there yet. */
function needsKey(keys: readonly KeptKey[], now: number): boolean {
  const last = keys.at(-1);
  return !last || (last.from !== undefined && now - last.from >= signsFor);
}

/** Every token of a key has ended: its successor has signed for longer than any token lives. */
function hasEnded(keys: readonly KeptKey[], key: KeptKey, now: number, life: number): boolean {
  const next = keys[keys.indexOf(key) + 1];
  return next?.from !== undefined && now - next.from > life + slack;
}

/**
 * Brings a ring of keys to where it should be, and publishes it: the first key, a new one each month, and away with
 * those whose tokens have all ended; of these the public half is kept for tokens in secrets, which do not end. Safe to
 * run again after a death anywhere: a new key is kept first, then published, and gets the time at which it begins to
 * sign only after that; an old one is published no more before it is retired. What should be published is published at every call. Throws what the store or `publish` throws.
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
