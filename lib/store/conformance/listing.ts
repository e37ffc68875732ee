import { expect, it } from "vitest";
import { Compacted, compareKeys, FutureRevision, type Store } from "#store";
import type { Bench } from "./index.ts";
import { create, entryOf, readLog, remove, textOf, update, write } from "./make.ts";

const fill = async (store: Store, type: string, keys: string[]) => {
  const writes = keys.map((key) => create(key));
  return (await store.commit(type, writes)).map(entryOf);
};
const keysOf = (page: { entries: { key: string }[] }) => page.entries.map((entry) => entry.key);

/** Lists of the newest state. */
function newestState({ store, newType }: Bench): void {
  it("lists an empty new type at revision 1", async () => {
    expect(await store().list(newType())).toMatchObject({ revision: 1, entries: [], more: false });
  });

  it("lists everything acknowledged before the call, at a revision from which a watch can start", async () => {
    const type = newType();
    const [a] = await fill(store(), type, ["ns/a", "ns/b"]);
    const gone = await write(store(), type, remove("ns/a", a!.revision));
    const page = await store().list(type);
    expect(keysOf(page)).toEqual(["ns/b"]);
    expect(page.revision).toBeGreaterThanOrEqual(gone.revision);
    const next = await write(store(), type, create("ns/c"));
    expect(next.revision).toBeGreaterThan(page.revision);
    // A call may end before a revision that its writer has just given up.
    expect((await readLog(store(), type, page.revision)).map((change) => change.key)).toEqual(["ns/c"]);
  });

  it("sorts by UTF-8 bytes", async () => {
    const type = newType();
    // U+FB01 sorts before U+1F600 in UTF-8 and behind its surrogates in UTF-16.
    const keys = ["/z", "a-b/x", "a/x", "a.b/x", "b/ﬁ", "b/😀", "b/é", "b/~", "b/Z", "a/X", "a/x1", "a/x\u0001"];
    await fill(store(), type, keys);
    const bytewise = [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    expect(keysOf(await store().list(type))).toEqual(bytewise);
    expect([...keys].sort(compareKeys)).toEqual(bytewise);
    for (const [index, key] of bytewise.entries())
      expect(keysOf(await store().list(type, { after: key }))).toEqual(bytewise.slice(index + 1));
  });

  it("lists a prefix and nothing else", async () => {
    const type = newType();
    await fill(store(), type, ["/n", "a/1", "a/2", "a-/1", "a0/1", "ab/1", "b/1"]);
    expect(keysOf(await store().list(type, { prefix: "a/" }))).toEqual(["a/1", "a/2"]);
    expect(keysOf(await store().list(type, { prefix: "/" }))).toEqual(["/n"]);
    expect(keysOf(await store().list(type, { prefix: "c/" }))).toEqual([]);
    expect(keysOf(await store().list(type, { prefix: "a/", after: "a-/1" }))).toEqual(["a/1", "a/2"]);
    expect(keysOf(await store().list(type, { prefix: "a/", after: "a/1" }))).toEqual(["a/2"]);
    expect(keysOf(await store().list(type, { prefix: "a/", after: "b/1" }))).toEqual([]);
  });
}

/** Lists in pages. */
function pages({ store, newType }: Bench): void {
  it("returns pages, with whether and how much follows", async () => {
    const type = newType();
    const keys = Array.from({ length: 25 }, (_, index) => `ns/${String.fromCharCode(97 + index)}`);
    await fill(store(), type, [...keys, "zz/other"]);
    const seen: string[] = [];
    let after: string | undefined;
    let at: number | undefined;
    for (;;) {
      const page = await store().list(type, {
        prefix: "ns/",
        limit: 10,
        ...(after === undefined ? {} : { after }),
        ...(at === undefined ? {} : { at }),
      });
      if (at !== undefined) expect(page.revision).toBe(at);
      at = page.revision;
      seen.push(...keysOf(page));
      if (page.remaining !== undefined) expect(page.remaining).toBe(25 - seen.length);
      expect(page.more).toBe(seen.length < 25);
      if (!page.more) break;
      after = seen.at(-1)!;
    }
    expect(seen).toEqual(keys);
    expect((await store().list(type, { prefix: "ns/", limit: 25 })).more).toBe(false);
  });

  it("continues the snapshot of an earlier page after later writes", async () => {
    const type = newType();
    const made = await fill(store(), type, ["ns/a", "ns/b", "ns/c", "ns/d", "ns/e", "ns/f"]);
    const first = await store().list(type, { limit: 2 });
    expect(keysOf(first)).toEqual(["ns/a", "ns/b"]);
    await write(store(), type, update("ns/c", made[2]!.revision, "changed"));
    const gone = await write(store(), type, remove("ns/d", made[3]!.revision));
    await write(store(), type, create("ns/cc"));
    const again = await write(store(), type, create("ns/d", "reborn"));
    await write(store(), type, update("ns/d", again.revision, "twice"));
    await write(store(), type, remove("ns/f", made[5]!.revision));
    await write(store(), type, create("ns/a1"));
    const rest = await store().list(type, { after: "ns/b", at: first.revision });
    expect(rest.revision).toBe(first.revision);
    expect(rest.entries).toEqual(made.slice(2));
    const two = await store().list(type, { after: "ns/b", at: first.revision, limit: 2 });
    expect(keysOf(two)).toEqual(["ns/c", "ns/d"]);
    expect(two.more).toBe(true);
    const between = await store().list(type, { at: gone.revision });
    expect(between.entries.map(textOf)[2]).toMatch(/^changed@/);
    expect(keysOf(between)).toEqual(["ns/a", "ns/b", "ns/c", "ns/e", "ns/f"]);
    expect(keysOf(await store().list(type))).toEqual(["ns/a", "ns/a1", "ns/b", "ns/c", "ns/cc", "ns/d", "ns/e"]);
  });
}

/** Keys of any length. */
function names({ store, newType }: Bench): void {
  it("accepts names of any length, and finds no object under those that cannot be written", async () => {
    const type = newType();
    const longest = `ns/${"é".repeat(510)}x`;
    expect(Buffer.byteLength(longest)).toBe(1024);
    await fill(store(), type, ["ns/a", longest, "ns/\u00ea"]);
    expect((await store().get(type, longest))?.key).toBe(longest);
    const beyond = `${longest}y`;
    expect(await store().get(type, beyond)).toBeUndefined();
    expect(keysOf(await store().list(type, { prefix: beyond }))).toEqual([]);
    expect(keysOf(await store().list(type, { prefix: `${"n".repeat(3000)}/` }))).toEqual([]);
    expect(keysOf(await store().list(type, { prefix: longest }))).toEqual([longest]);
    const first = await store().list(type, { prefix: "ns/", limit: 2 });
    expect([keysOf(first), first.more]).toEqual([["ns/a", longest], true]);
    expect(keysOf(await store().list(type, { prefix: "ns/", after: longest }))).toEqual(["ns/\u00ea"]);
    expect(keysOf(await store().list(type, { prefix: "ns/", after: beyond }))).toEqual(["ns/\u00ea"]);
    const before = `ns/${"é".repeat(510)}${"a".repeat(2000)}`;
    expect(keysOf(await store().list(type, { prefix: "ns/", after: before }))).toEqual([longest, "ns/\u00ea"]);
  });
}

/** Lists at earlier revisions. */
function snapshots({ store, newType }: Bench): void {
  it("lists the snapshot of every revision of a random history", async () => {
    const type = newType();
    const keys = ["a/1", "a/2", "b/1", "b/2"];
    const states = new Map<number, string[]>();
    const state = new Map<string, { revision: number; text: string }>();
    const note = async () => {
      const lines = [...state].map(([key, { text }]) => `${key} ${text}`).sort();
      states.set((await store().list(type)).revision, lines);
    };
    await note();
    let seed = 7;
    const dice = (sides: number) => {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      return Math.floor((seed / 2147483648) * sides);
    };
    for (let step = 0; step < 24; step++) {
      const key = keys[dice(keys.length)]!;
      const current = state.get(key);
      if (!current) {
        const entry = await write(store(), type, create(key, `s${step}`));
        state.set(key, { revision: entry.revision, text: textOf(entry) });
      } else if (dice(3) === 0) {
        await write(store(), type, remove(key, current.revision));
        state.delete(key);
      } else {
        const entry = await write(store(), type, update(key, current.revision, `s${step}`));
        state.set(key, { revision: entry.revision, text: textOf(entry) });
      }
      await note();
    }
    for (const [at, lines] of states) {
      const page = await store().list(type, { at });
      expect(page.revision).toBe(at);
      expect(page.entries.map((entry) => `${entry.key} ${textOf(entry)}`)).toEqual(lines);
      const part = await store().list(type, { at, prefix: "a/" });
      expect(part.entries.map((entry) => `${entry.key} ${textOf(entry)}`)).toEqual(
        lines.filter((line) => line.startsWith("a/")),
      );
    }
  });

  it("refuses snapshots that are compacted or in the future", async () => {
    const type = newType();
    const [a, b] = await fill(store(), type, ["ns/a", "ns/b"]);
    await write(store(), type, update("ns/a", a!.revision, "2"));
    const head = await store().head(type);
    await expect(store().list(type, { at: head + 1 })).rejects.toBeInstanceOf(FutureRevision);
    await store().compact(type, b!.revision);
    expect(keysOf(await store().list(type, { at: b!.revision }))).toEqual(["ns/a", "ns/b"]);
    const error = await store()
      .list(type, { at: a!.revision })
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Compacted);
    expect((error as Compacted).floor).toBe(b!.revision);
  });
}

/** Snapshots: order, prefixes, pages, earlier revisions. */
export function listing(bench: Bench): void {
  newestState(bench);
  pages(bench);
  names(bench);
  snapshots(bench);
}
