import { describe, expect, it } from "vitest";
import { type ApiError, isApiError } from "#base";
import { create, entryOf, remove, update } from "#store/conformance";
import { handClock } from "#test/make";
import type { Dynamo } from "./client.ts";
import { openStand } from "./testing/stage.ts";

const start = Date.parse("2026-01-01T00:00:00Z");

const type = "things";
const refusal = (name: string, details = {}) => Object.assign(new Error(name), { name, ...details });

/** Counts requests, and lets a test answer transactions in place of the tables. */
function tapped(dynamo: Dynamo, answer: (attempt: number) => Error | undefined = () => undefined) {
  const sent: Parameters<Dynamo["transact"]>[0][] = [];
  const transact: Dynamo["transact"] = async (input) => {
    sent.push(input);
    const error = answer(sent.length);
    if (error) throw error;
    return dynamo.transact(input);
  };
  return { client: { ...dynamo, transact }, sent };
}

describe("a write", () => {
  it("is repeated unchanged after throttling or a conflict", async () => {
    const stand = openStand();
    const answers = [
      refusal("ThrottlingException"),
      refusal("TransactionCanceledException", {
        CancellationReasons: [{ Code: "TransactionConflict" }, { Code: "None" }],
      }),
      refusal("TransactionInProgressException"),
    ];
    const { client, sent } = tapped(stand.dynamo, (attempt) => answers[attempt - 1]);
    const [entry] = await stand.another(client).commit(type, [create("ns/a")]);
    expect(entry).toMatchObject({ revision: 2 });
    expect(sent).toHaveLength(4);
    for (const one of sent) expect(one).toEqual(sent[0]);
  });

  it("draws another ticket after an unknown outcome, and fills the slot of the first", async () => {
    const stand = openStand();
    const { client, sent } = tapped(stand.dynamo, (attempt) => (attempt === 1 ? refusal("TimeoutError") : undefined));
    const store = stand.another(client);
    expect(await store.commit(type, [create("ns/a")])).toMatchObject([{ revision: 3 }]);
    expect(sent[1]!.ClientRequestToken).not.toBe(sent[0]!.ClientRequestToken);
    expect(await store.changes(type, 1)).toMatchObject({ changes: [{ revision: 3 }], through: 3 });
  });

  it("is refused with 429 after five tickets, and is not in the log", async () => {
    const stand = openStand();
    const { client, sent } = tapped(stand.dynamo, () => refusal("TimeoutError"));
    const error = await stand
      .another(client)
      .commit(type, [create("ns/a")])
      .catch((thrown: unknown) => thrown);
    expect(isApiError(error) && error.code).toBe(429);
    expect((error as ApiError).status.details?.retryAfterSeconds).toBe(1);
    expect(sent).toHaveLength(5);
    expect(await stand.store.changes(type, 1)).toEqual({ changes: [], through: 6 });
    expect((await stand.store.list(type)).entries).toEqual([]);
  });

  it("returns the results of the other writes of a batch that was refused in part", async () => {
    const stand = openStand();
    await stand.store.commit(type, [create("ns/a")]);
    const { client } = tapped(stand.dynamo, (attempt) => (attempt > 1 ? refusal("TimeoutError") : undefined));
    const error = await stand
      .another(client)
      .commit(type, [create("ns/a"), create("ns/b")])
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 429, results: [{ name: "Exists" }, undefined] });
    expect((await stand.store.list(type)).entries.map((entry) => entry.key)).toEqual(["ns/a"]);
  });

  it("is sent again with a new token when another write of its batch has failed", async () => {
    const stand = openStand();
    await stand.store.commit(type, [create("ns/b")]);
    const { client, sent } = tapped(stand.dynamo);
    const results = await stand.another(client).commit(type, [create("ns/a"), create("ns/b"), create("ns/c")]);
    expect(results.map((result) => (result instanceof Error ? result.name : result.revision))).toEqual([
      3,
      "Exists",
      5,
    ]);
    expect(sent.map((one) => one.TransactItems!.length)).toEqual([6, 4]);
    expect(sent[1]!.ClientRequestToken).not.toBe(sent[0]!.ClientRequestToken);
    expect((await stand.store.changes(type, 2)).through).toBe(5);
  });

  it("puts at most fifty writes into one transaction", async () => {
    const stand = openStand();
    const { client, sent } = tapped(stand.dynamo);
    await stand.another(client).commit(
      type,
      Array.from({ length: 120 }, (_, index) => create(`ns/${index}`)),
    );
    expect(sent.map((one) => one.TransactItems!.length)).toEqual([100, 100, 40]);
  });

  it("is refused with 413 when its key is longer than a sort key, and draws no ticket", async () => {
    const stand = openStand();
    const store = stand.another();
    await expect(store.commit(type, [create("ns/a"), create("n".repeat(1025))])).rejects.toMatchObject({ code: 413 });
    expect(await store.head(type)).toBe(1);
    expect(await store.commit(type, [create("n".repeat(1024))])).toMatchObject([{ revision: 2 }]);
  });

  it("is refused with 413 when its body is larger than 1.5 MiB, and leaves no hole", async () => {
    const { store } = openStand();
    const big = { ...create("ns/a"), body: () => new Uint8Array(1.5 * 1024 * 1024 + 1) };
    await expect(store.commit(type, [big])).rejects.toMatchObject({ code: 413 });
    expect(await store.changes(type, 1)).toEqual({ changes: [], through: 2 });
    const labels = Object.fromEntries(Array.from({ length: 4000 }, (_, index) => [`k${index}`, crypto.randomUUID()]));
    await expect(store.commit(type, [create("ns/a", "a", { uid: "u", labels })])).rejects.toMatchObject({ code: 413 });
  });
});

describe("the items in the tables", () => {
  it("expires with its change, as a tombstone does", async () => {
    const clock = handClock(start);
    const { store, items, double } = openStand({ clock });
    const seconds = clock.now() / 1000;
    const [a] = await store.commit(type, [create("ns/a")]);
    await store.commit(type, [remove("ns/a", entryOf(a).revision), create("ns/b")]);
    const stone = items("objects").find((item) => item["d"]);
    expect(stone).toMatchObject({ k: { S: "ns/a" }, r: { N: "3" }, e: { N: String(seconds + 86_400) } });
    for (const slot of items("changes")) expect(Number(slot["e"]!.N)).toBe(seconds + 86_400);
    await clock.forward(86_400_000 + 1000);
    double.expire(1);
    expect(items("changes")).toEqual([]);
    expect((await store.list(type)).entries.map((entry) => entry.key)).toEqual(["ns/b"]);
    await expect(store.changes(type, 1)).rejects.toThrow("older than");
  });

  it("splits a body that fits no item, and lets its parts expire with the change that replaced it", async () => {
    const { store, items } = openStand();
    const random = (length: number) => {
      const bytes = new Uint8Array(length);
      for (let at = 0; at < length; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
      return bytes;
    };
    const parts = () => items("objects").filter((item) => item["p"]!.S!.startsWith("part#"));
    const first = random(1_000_000);
    const [made] = await store.commit(type, [{ ...create("ns/a"), body: () => first }]);
    expect(
      parts()
        .map((part) => [part["k"]!.S, part["e"]])
        .sort(),
    ).toEqual([
      ["0000", undefined],
      ["0001", undefined],
      ["0002", undefined],
    ]);
    for (const table of ["objects", "changes"] as const)
      for (const item of items(table)) expect(item["b"]?.B?.length ?? 0).toBeLessThan(400 * 1024);
    const second = random(2000);
    await store.commit(type, [{ ...update("ns/a", entryOf(made).revision), body: () => second }]);
    expect(parts().every((part) => part["e"] !== undefined)).toBe(true);
    const { changes } = await store.changes(type, 2);
    expect(Buffer.compare(changes[0]!.previous!.body, first)).toBe(0);
    const before = await store.list(type, { at: 2 });
    expect(Buffer.compare(before.entries[0]!.body, first)).toBe(0);
  });

  it("is compressed where that makes it smaller", async () => {
    const { store, items } = openStand();
    const text = "the same again and again, ".repeat(1000);
    await store.commit(type, [create("ns/a", text, { uid: "u", labels: { long: text } })]);
    for (const table of ["objects", "changes"] as const) {
      const item = items(table).find((one) => one["s"]?.S === "s1")!;
      expect(item["b"]!.B!.length).toBeLessThan(1000);
      expect(item["i"]!.B!.length).toBeLessThan(1000);
    }
    expect((await store.get(type, "ns/a"))!.index.labels).toEqual({ long: text });
  });

  it("carries the state before a change only where the log may lose it", async () => {
    const clock = handClock(start);
    const { store, items } = openStand({ clock });
    await store.commit(type, [create("ns/a", "1")]);
    await clock.forward(3_600_000);
    await store.commit(type, [update("ns/a", 2, "2")]);
    await clock.forward(12 * 3_600_000);
    await store.commit(type, [update("ns/a", 3, "3")]);
    const carried = items("changes").map((slot) => slot["qb"] !== undefined);
    expect(carried).toEqual([false, false, true]);
  });
});
