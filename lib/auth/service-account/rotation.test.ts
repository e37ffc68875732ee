import { expect, test } from "vitest";
import { type HandClock, handClock } from "#test/make";
import { type KeptKey, parseRing, ringKeys, signingAt } from "./keys.ts";
import { type RingStore, tendRing } from "./rotation.ts";

const hour = 3_600_000;
const day = 24 * hour;
const start = Date.parse("2026-03-01T00:00:00Z");
const issuer = "https://issuer.example.com";

/** A process that dies: its next write is not stored. */
class Death extends Error {}

/** The stored secret and the published documents. The process survives `left` writes, or all. */
function world(clock: HandClock) {
  const kept = { text: "random word", version: 1 };
  const shown: Record<string, string> = {};
  const life = { left: Number.POSITIVE_INFINITY };
  const step = () => {
    if (life.left-- <= 0) throw new Death();
  };
  const ring: RingStore = {
    read: async () => ({ text: kept.text, version: String(kept.version) }),
    async write(text, version) {
      step();
      if (version !== String(kept.version)) throw new Error("another process has written");
      kept.text = text;
      return String(++kept.version);
    },
  };
  const publish = async (documents: readonly { path: string; body: string }[]) => {
    for (const { path, body } of documents) {
      step();
      shown[path] = body;
    }
  };
  return {
    life,
    ring,
    kept,
    tend: (own: RingStore = ring) => tendRing({ ring: own, publish, issuer, clock, longestToken: 86_400 }),
    keys: (): KeptKey[] => parseRing(kept.text),
    signing: () => signingAt(parseRing(kept.text), clock.now())?.kid,
    published: () =>
      (JSON.parse(shown["/openid/v1/jwks"] ?? '{"keys":[]}') as { keys: KeptKey[] }).keys.map(({ kid }) => kid),
  };
}

test("rotates a key each month, publishes the next a day ahead, and retires the old one after its last token", async () => {
  const clock = handClock(start);
  const { tend, keys, signing, published } = world(clock);
  await tend();
  const [first] = published();
  expect(signing()).toBe(first);
  clock.move(30 * day - 1);
  await tend();
  expect(published()).toEqual([first]);
  clock.move(1);
  await tend();
  const [, second] = published();
  expect([published().length, signing()]).toEqual([2, first]);
  clock.move(day - 1);
  await tend();
  expect(signing()).toBe(first);
  clock.move(1);
  expect(signing()).toBe(second);
  clock.move(25 * hour);
  await tend();
  expect(published()).toEqual([first, second]);
  clock.move(1);
  await tend();
  expect(published()).toEqual([second]);
  expect(keys().map(({ kid }) => kid)).toEqual([second]);
});

test("keeps the public half of a retired key, unpublished, for tokens in secrets", async () => {
  const clock = handClock(start);
  const { tend, kept, published } = world(clock);
  await tend();
  const [first] = published();
  const text = () => kept.text;
  const ring = ringKeys({ read: async () => text(), clock, maxAge: 0 });
  const { publicKey } = await ring.current();
  for (const step of [30 * day, day, 26 * hour, 30 * day, day, 26 * hour]) {
    clock.move(step);
    await tend();
  }
  expect(published()).not.toContain(first);
  const retired = await ring.retired();
  expect(retired.map(({ kid }) => kid)).toContain(first);
  expect(retired[0]!.publicKey.equals(publicKey)).toBe(true);
  expect((await ring.public(first)).map(({ kid }) => kid)).not.toContain(first);
  expect(kept.text.split("PRIVATE KEY").length).toBe(1 + 2 * published().length);
});

test("continues a rotation that died between any two writes", async () => {
  for (let deaths = 0; deaths < 5; deaths++) {
    const clock = handClock(start);
    const { life, tend, keys, signing, published } = world(clock);
    const dying = async (after: number) => {
      life.left = after;
      const died = await tend().then(
        () => false,
        (error) => error instanceof Death || Promise.reject(error),
      );
      life.left = Number.POSITIVE_INFINITY;
      return died;
    };
    /** The signing key has been published for a day, and keys with valid tokens are still published. */
    const sound = (since: Map<string, number>, isBorn: boolean) => {
      for (const kid of published()) if (!since.has(kid)) since.set(kid, clock.now());
      const now = signing();
      if (now === undefined) return expect(isBorn).toBe(false);
      expect(published()).toContain(now);
      if (since.size > 1) expect(clock.now() - since.get(now)!).toBeGreaterThanOrEqual(day);
    };
    const since = new Map<string, number>();
    let died = (await dying(deaths)) ? 1 : 0;
    sound(since, false);
    await tend();
    sound(since, true);
    // The second death falls into the first rotation, the third into the end of the first key.
    for (let hours = 1; hours < 34 * 24; hours++) {
      clock.move(hour);
      if (await dying(deaths)) died++;
      sound(since, true);
      await tend();
      sound(since, true);
    }
    expect(keys()).toHaveLength(1);
    expect(published()).toEqual(keys().map(({ kid }) => kid));
    expect(died).toBeGreaterThan(deaths < 2 ? 700 : deaths < 4 ? 0 : -1);
  }
});

test("creates one key where two processes rotate concurrently", async () => {
  const clock = handClock(start);
  const { ring, tend, keys, published, signing } = world(clock);
  await tend();
  clock.move(30 * day);
  // Both have read before either writes.
  const stale = await ring.read();
  await tend();
  const late: RingStore = { ...ring, read: async () => stale };
  await expect(tend(late)).rejects.toThrow("another process");
  expect(published()).toEqual(keys().map(({ kid }) => kid));
  clock.move(day);
  expect(published()).toContain(signing());
});

test("refuses to sign without a key, and uses a new key at once", async () => {
  const clock = handClock(start);
  const { kept, tend } = world(clock);
  const keys = ringKeys({ read: async () => kept.text, clock, maxAge: 300_000 });
  await expect(keys.current()).rejects.toThrow("has not been made yet");
  await tend();
  clock.move(10_000);
  expect((await keys.current()).kid).toBe(parseRing(kept.text)[0]?.kid);
});

test("activates a cached key at its time, without reading the ring again", async () => {
  const clock = handClock(start);
  const { kept, tend, signing } = world(clock);
  await tend();
  clock.move(30 * day);
  await tend();
  const keys = ringKeys({ read: async () => kept.text, clock, maxAge: Number.POSITIVE_INFINITY });
  const before = (await keys.current()).kid;
  clock.move(day);
  const after = (await keys.current()).kid;
  expect([before === after, after === signing()]).toEqual([false, true]);
});
