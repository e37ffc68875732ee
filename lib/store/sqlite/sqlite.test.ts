import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "#base";
import { Conflict, openCache } from "#store";
import { create, entryOf, storeConformance, textOf, update } from "#store/conformance";
import { sqliteStore } from "#store/sqlite";

const folders: string[] = [];
const newPath = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "skiff-store-"));
  folders.push(folder);
  return join(folder, "store.db");
};
const cleanUp = () => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
};

storeConformance("sqliteStore", async () => {
  const path = newPath();
  const folder = folders.pop()!;
  return { store: sqliteStore({ path }), cleanUp: () => rmSync(folder, { recursive: true, force: true }) };
});

describe("sqliteStore", () => {
  afterEach(cleanUp);

  it("has its state when the file is opened again", async () => {
    const path = newPath();
    const store = sqliteStore({ path });
    const [a] = await store.commit("things", [create("ns/a", "1", { uid: "u", labels: { app: "x" } })]);
    const [b] = await store.commit("things", [update("ns/a", 2, "2")]);
    await store.compact("things", 2);
    await store.close();
    const again = sqliteStore({ path });
    expect(await again.get("things", "ns/a")).toEqual(b);
    expect(await again.head("things")).toBe(3);
    expect(await again.changes("things", 2)).toEqual({
      changes: [{ revision: 3, type: "update", key: "ns/a", entry: b, previous: a }],
      through: 3,
    });
    await expect(again.changes("things", 1)).rejects.toThrow("older than 2");
    await again.close();
  });

  it("puts commits of one turn into one transaction in their order", async () => {
    const store = sqliteStore({ path: newPath() });
    const [made, refused, updated] = await Promise.all([
      store.commit("things", [create("ns/a", "1")]),
      store.commit("things", [update("ns/a", 9, "x")]),
      store.commit("things", [update("ns/a", 2, "2")]),
    ]);
    expect(made).toMatchObject([{ revision: 2 }]);
    expect(refused[0]).toBeInstanceOf(Conflict);
    expect(updated).toMatchObject([{ revision: 3 }]);
    await store.close();
  });

  it("acknowledges a commit when waiting readers have read its changes", async () => {
    const store = sqliteStore({ path: newPath() });
    const order: string[] = [];
    const follow = async () => {
      await store.changed("things", 1, new AbortController().signal);
      const { changes } = await store.changes("things", 1);
      order.push(`read ${changes.length}`);
    };
    const following = follow();
    await store.commit("things", [create("ns/a")]);
    order.push("acknowledged");
    await following;
    expect(order).toEqual(["read 1", "acknowledged"]);
    await store.close();
  });

  it("updates every cache before a commit is acknowledged, also beside other commits", async () => {
    const store = sqliteStore({ path: newPath() });
    const caches = await Promise.all([1, 2, 3].map(() => openCache({ store, type: "things", clock: systemClock })));
    const writer = async (name: number) => {
      for (let round = 0; round < 40; round++) {
        const [entry] = await store.commit("things", [create(`ns/${name}-${round}`)]);
        const { revision } = entryOf(entry);
        for (const cache of caches) expect(cache.revision).toBeGreaterThanOrEqual(revision);
      }
    };
    await Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map(writer));
    for (const cache of caches) cache.close();
    await store.close();
  });

  it("serves two openers of one file with one sequence of revisions", async () => {
    const path = newPath();
    const [one, two] = [sqliteStore({ path }), sqliteStore({ path })];
    for (let round = 0; round < 20; round++) {
      const [store, name] = round % 3 === 0 ? [one, "one"] : [two, "two"];
      await store.commit("things", [create(`ns/${String(round).padStart(2, "0")}`, name)]);
    }
    for (const store of [one, two]) {
      const { changes, through } = await store.changes("things", 1);
      expect(changes.map((change) => change.revision)).toEqual(Array.from({ length: 20 }, (_, index) => index + 2));
      expect(through).toBe(21);
      expect(changes.slice(0, 3).map(({ entry }) => textOf(entry))).toEqual(["one@2", "two@3", "two@4"]);
    }
    await one.close();
    await two.close();
  });

  it("reads changes that are older than those in memory", async () => {
    const store = sqliteStore({ path: newPath() });
    for (let batch = 0; batch < 30; batch++)
      await store.commit(
        "things",
        Array.from({ length: 100 }, (_, index) => create(`ns/${batch}-${index}`)),
      );
    let at = 1;
    const seen: number[] = [];
    while (at < 3001) {
      const { changes, through } = await store.changes("things", at);
      seen.push(...changes.map((change) => change.revision));
      at = through;
    }
    expect(seen).toEqual(Array.from({ length: 3000 }, (_, index) => index + 2));
    await store.close();
  });

  it("names the fault of a file", async () => {
    const path = newPath();
    expect(() => sqliteStore({ path: join(path, "no", "folder.db") })).toThrow(/cannot open the store .*folder\.db/);
    writeFileSync(path, "this is no database, however long it may be. ".repeat(100));
    expect(() => sqliteStore({ path })).toThrow(/cannot open the store .*not a database/);
    const foreign = newPath();
    const other = new DatabaseSync(foreign);
    other.exec("CREATE TABLE mine (a)");
    other.close();
    expect(() => sqliteStore({ path: foreign })).toThrow("it is a database of another program");
    const newer = newPath();
    await sqliteStore({ path: newer }).close();
    const file = new DatabaseSync(newer);
    file.exec("PRAGMA user_version = 7");
    file.close();
    expect(() => sqliteStore({ path: newer })).toThrow("written by a newer version (schema 7; this one knows 1)");
  });

  it("refuses commits after it was closed, and completes those before", async () => {
    const path = newPath();
    const store = sqliteStore({ path });
    const pending = store.commit("things", [create("ns/a")]);
    await store.close();
    expect(await pending).toMatchObject([{ revision: 2 }]);
    await expect(store.commit("things", [create("ns/b")])).rejects.toThrow("the store is closed");
    const again = sqliteStore({ path });
    expect((await again.list("things")).entries).toHaveLength(1);
    await again.close();
  });
});
