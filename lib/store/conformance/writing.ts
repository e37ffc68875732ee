import { expect, it } from "vitest";
import { Conflict, Exists } from "#store";
import type { Bench } from "./index.ts";
import { bodyOf, create, entryOf, readLog, remove, textOf, update, write } from "./make.ts";

/** Creates and reads of one object. */
function creates({ store, newType }: Bench): void {
  it("starts a type's counter at 1 and returns revisions above it", async () => {
    const type = newType();
    expect(await store().head(type)).toBe(1);
    const first = await write(store(), type, create("a/1"));
    expect(first.revision).toBeGreaterThan(1);
    expect(await store().head(type)).toBeGreaterThanOrEqual(first.revision);
  });

  it("returns a written object with the body of its revision", async () => {
    const type = newType();
    const index = {
      uid: "u1",
      labels: { app: "web", "x.io/empty": "" },
      fields: { "spec.nodeName": "n1" },
      owners: ["o1", "o2"],
    };
    const entry = await write(store(), type, create("ns/a", "first", index));
    expect(textOf(entry)).toBe(`first@${entry.revision}`);
    const read = await store().get(type, "ns/a");
    expect(read).toEqual(entry);
    expect(read).toMatchObject({ key: "ns/a", schema: "s1", index });
    expect(Object.keys((await store().get(type, "ns/a"))!).sort()).toEqual([
      "body",
      "index",
      "key",
      "revision",
      "schema",
    ]);
  });

  it("returns no object that was never written", async () => {
    const type = newType();
    expect(await store().get(type, "ns/none")).toBeUndefined();
  });

  it("refuses a second create, with the existing object", async () => {
    const type = newType();
    const entry = await write(store(), type, create("ns/a"));
    const [refused] = await store().commit(type, [create("ns/a", "other")]);
    expect(refused).toBeInstanceOf(Exists);
    expect((refused as Exists).entry).toEqual(entry);
    expect(await store().get(type, "ns/a")).toEqual(entry);
  });
}

/** Updates and deletes of one object. */
function updates({ store, newType }: Bench): void {
  it("updates over the expected revision only", async () => {
    const type = newType();
    const first = await write(store(), type, create("ns/a", "1"));
    const second = await write(store(), type, update("ns/a", first.revision, "2"));
    expect(second.revision).toBeGreaterThan(first.revision);
    const [refused] = await store().commit(type, [update("ns/a", first.revision, "3")]);
    expect(refused).toBeInstanceOf(Conflict);
    expect((refused as Conflict).entry).toEqual(second);
    const [absent] = await store().commit(type, [update("ns/none", 5)]);
    expect(absent).toBeInstanceOf(Conflict);
    expect((absent as Conflict).entry).toBeUndefined();
    expect((absent as Conflict).key).toBe("ns/none");
  });

  it("deletes over the expected revision only, and creates again above it", async () => {
    const type = newType();
    const first = await write(store(), type, create("ns/a", "1"));
    const [refused] = await store().commit(type, [remove("ns/a", first.revision + 100)]);
    expect(refused).toBeInstanceOf(Conflict);
    const gone = await write(store(), type, remove("ns/a", first.revision, "last"));
    expect(gone.revision).toBeGreaterThan(first.revision);
    expect(textOf(gone)).toBe(`last@${gone.revision}`);
    expect(await store().get(type, "ns/a")).toBeUndefined();
    const [again] = await store().commit(type, [remove("ns/a", gone.revision)]);
    expect((again as Conflict).entry).toBeUndefined();
    const [stale] = await store().commit(type, [update("ns/a", gone.revision)]);
    expect(stale).toBeInstanceOf(Conflict);
    const reborn = await write(store(), type, create("ns/a", "2"));
    expect(reborn.revision).toBeGreaterThan(gone.revision);
  });
}

/** Commits of several writes. */
function batches({ store, newType }: Bench): void {
  it("accepts or refuses each write of a commit by itself, in order", async () => {
    const type = newType();
    const a = await write(store(), type, create("ns/a"));
    const b = await write(store(), type, create("ns/b"));
    const before = await store().head(type);
    const results = await store().commit(type, [
      create("ns/c"),
      create("ns/a"),
      update("ns/a2", 7),
      update("ns/b", b.revision, "b2"),
      remove("ns/d", 3),
      create("ns/e"),
    ]);
    expect(results.map((result) => (result instanceof Error ? result.name : result.key))).toEqual([
      "ns/c",
      "Exists",
      "Conflict",
      "ns/b",
      "Conflict",
      "ns/e",
    ]);
    const made = results.filter((result) => !(result instanceof Error)).map(entryOf);
    expect(made[0]!.revision).toBeLessThan(made[1]!.revision);
    expect(made[1]!.revision).toBeLessThan(made[2]!.revision);
    const changes = await readLog(store(), type, before);
    expect(changes.map((change) => [change.revision, change.key])).toEqual(made.map((e) => [e.revision, e.key]));
    expect(await store().get(type, "ns/a")).toEqual(a);
  });

  it("accepts an empty commit and refuses a key that occurs twice", async () => {
    const type = newType();
    expect(await store().commit(type, [])).toEqual([]);
    await expect(store().commit(type, [create("ns/a"), create("ns/a")])).rejects.toThrow("ns/a");
    expect(await store().get(type, "ns/a")).toBeUndefined();
  });

  it("accepts a batch of hundreds", async () => {
    const type = newType();
    const keys = Array.from({ length: 230 }, (_, index) => `ns/${String(index).padStart(3, "0")}`);
    const results = await store().commit(
      type,
      keys.map((key) => create(key)),
    );
    const revisions = results.map((result) => entryOf(result).revision);
    expect(revisions).toEqual([...revisions].sort((a, b) => a - b));
    expect((await readLog(store(), type, 1)).map((change) => change.key)).toEqual(keys);
    expect((await store().list(type)).entries.map((entry) => entry.key)).toEqual(keys);
  });
}

/** Bodies, and what is stored of them. */
function bodies({ store, newType }: Bench): void {
  it("stores nothing when a body throws", async () => {
    const type = newType();
    const failing = {
      ...create("ns/b"),
      body: (): Uint8Array => {
        throw new Error("no body");
      },
    };
    await expect(store().commit(type, [create("ns/a"), failing])).rejects.toThrow("no body");
    expect((await store().list(type)).entries).toEqual([]);
    expect(await readLog(store(), type, 1)).toEqual([]);
    await write(store(), type, create("ns/a"));
    expect((await readLog(store(), type, 1)).map((change) => change.key)).toEqual(["ns/a"]);
  });

  it("stores large and unusual bodies unchanged", async () => {
    const type = newType();
    const random = (length: number) => {
      const bytes = new Uint8Array(length);
      for (let at = 0; at < length; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
      return bytes;
    };
    for (const size of [0, 1, 1023, 1025, 5000, 390_000, 420_000, 1_100_000, 1_500_000]) {
      const bytes = random(size);
      const key = `ns/${size}`;
      const first = await write(store(), type, { ...create(key), body: () => bytes });
      expect(Buffer.compare((await store().get(type, key))!.body, bytes), `${size} bytes`).toBe(0);
      const other = random(size);
      await write(store(), type, { ...update(key, first.revision), body: () => other });
      expect(Buffer.compare((await store().get(type, key))!.body, other), `${size} bytes again`).toBe(0);
      const [change] = await readLog(store(), type, first.revision);
      expect(Buffer.compare(change!.entry.body, other)).toBe(0);
      expect(Buffer.compare(change!.previous!.body, bytes)).toBe(0);
    }
    expect((await store().list(type)).entries.map((entry) => entry.body.length)).toEqual([
      0, 1, 1023, 1025, 1_100_000, 1_500_000, 390_000, 420_000, 5000,
    ]);
  });

  it("keeps types apart", async () => {
    const [one, two] = [newType(), newType()];
    const entry = await write(store(), one, create("ns/a", "one"));
    expect(await store().get(two, "ns/a")).toBeUndefined();
    expect(await store().head(two)).toBe(1);
    expect((await store().list(two)).entries).toEqual([]);
    const other = await write(store(), two, create("ns/a", "two"));
    expect(textOf(other)).toBe(`two@${other.revision}`);
    await store().compact(two, other.revision);
    expect((await readLog(store(), one, 1)).map((change) => change.revision)).toEqual([entry.revision]);
  });
}

/** Writers that race. */
function concurrentWriters({ store, newType }: Bench): void {
  it("accepts one of several concurrent writers each time", async () => {
    const type = newType();
    let current = await write(store(), type, create("ns/a", "start"));
    for (let round = 0; round < 5; round++) {
      const results = await Promise.all(
        Array.from({ length: 8 }, (_, writer) =>
          store().commit(type, [update("ns/a", current.revision, `r${round}w${writer}`)]),
        ),
      );
      const winners = results.flat().filter((result) => !(result instanceof Error));
      expect(winners).toHaveLength(1);
      for (const result of results.flat()) if (result instanceof Error) expect(result).toBeInstanceOf(Conflict);
      current = entryOf(winners[0]);
      expect(await store().get(type, "ns/a")).toEqual(current);
    }
    const creates = await Promise.all(Array.from({ length: 8 }, () => store().commit(type, [create("ns/b")])));
    expect(creates.flat().filter((result) => !(result instanceof Error))).toHaveLength(1);
  });

  it("loses no increment of concurrent writers on few keys, and logs each once", async () => {
    const type = newType();
    const keys = ["ns/a", "ns/b", "ns/c"];
    for (const key of keys) await write(store(), type, create(key, "0"));
    const made: number[] = [];
    const worker = async (seed: number) => {
      for (let round = 0; round < 6; round++) {
        const key = keys[(seed + round) % keys.length]!;
        for (;;) {
          const current = (await store().get(type, key))!;
          const count = Number(textOf(current).split("@")[0]) + 1;
          const [result] = await store().commit(type, [update(key, current.revision, String(count))]);
          if (result instanceof Error) continue;
          made.push(entryOf(result).revision);
          break;
        }
      }
    };
    await Promise.all([0, 1, 2, 3].map(worker));
    const entries = await Promise.all(keys.map((key) => store().get(type, key)));
    const sum = entries.reduce((total, entry) => total + Number(textOf(entry!).split("@")[0]), 0);
    expect(sum).toBe(24);
    const log = await readLog(store(), type, 1);
    const logged = log.filter((change) => change.type === "update").map((change) => change.revision);
    expect(logged).toEqual([...made].sort((a, b) => a - b));
    for (const change of log)
      expect(change.entry.body).toEqual(bodyOf(textOf(change.entry).split("@")[0]!)(change.revision));
  });
}

/** Single writes, batches, concurrent writers. */
export function writing(bench: Bench): void {
  creates(bench);
  updates(bench);
  batches(bench);
  bodies(bench);
  concurrentWriters(bench);
}
