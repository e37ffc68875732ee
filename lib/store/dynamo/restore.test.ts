import { describe, expect, it } from "vitest";
import { Compacted } from "#store";
import { create, entryOf, remove, textOf, update } from "#store/conformance";
import { openStand } from "./testing/stage.ts";

const jump = 2 ** 20;

describe("afterRestore", () => {
  it("raises revisions, fails older ones with Compacted, and updates objects from the log", async () => {
    const { store, double, items, another } = openStand({ shards: 2 });
    const made = await store.commit(
      "a",
      ["1", "2", "3", "4"].map((name) => create(`ns/${name}`, "old")),
    );
    const revisions = made.map((one) => entryOf(one).revision);
    const old = items("objects");
    await store.commit("a", [
      update("ns/1", revisions[0]!, "new"),
      remove("ns/2", revisions[1]!),
      create("ns/5", "new"),
    ]);
    const slots = items("changes");
    await store.commit("a", [update("ns/3", revisions[2]!, "newest")]);
    await store.commit("b", [create("ns/b")]);
    // The two tables are restored to slightly different instants.
    for (const key of ["ns/1", "ns/2"]) double.replace("objects", old.find((item) => item["k"]!.S === key)!);
    double.remove("objects", items("objects").find((item) => item["k"]!.S === "ns/5")!);
    for (const slot of items("changes"))
      if (!slots.includes(slot) && slot["k"]!.S === "ns/3") double.remove("changes", slot);

    const restored = another();
    const [a, b] = await restored.afterRestore();
    expect(a).toEqual({ type: "a", revision: 9 + jump, objects: 4, repaired: ["ns/1", "ns/2", "ns/5"], lost: [] });
    expect(b).toMatchObject({ type: "b", revision: 2 + jump, repaired: [] });
    const page = await restored.list("a");
    expect(page.revision).toBe(9 + jump);
    expect(page.entries.map(textOf)).toEqual(["new@6", "newest@9", "old@5", "new@8"]);
    await expect(restored.changes("a", 9)).rejects.toBeInstanceOf(Compacted);
    const [next] = await restored.commit("a", [create("ns/2", "again"), update("ns/1", 6, "after")]);
    expect(entryOf(next).revision).toBe(10 + jump);
    expect((await restored.changes("a", page.revision)).changes.map((change) => change.key)).toEqual(["ns/2", "ns/1"]);
  });

  it("may run again", async () => {
    const { store } = openStand();
    await store.commit("a", [create("ns/1")]);
    await store.afterRestore();
    const [again] = await store.afterRestore();
    expect(again).toMatchObject({ revision: 2 + 2 * jump, repaired: [], lost: [] });
    expect((await store.list("a")).entries.map(textOf)).toEqual(["ns/1@2"]);
  });

  it("returns the keys whose state is incomplete", async () => {
    const { store, double, items } = openStand();
    const big = crypto.getRandomValues(new Uint8Array(65_536));
    const body = () => Buffer.concat(Array.from({ length: 4 }, () => crypto.getRandomValues(big.slice())));
    await store.commit("a", [{ ...create("ns/big"), body }, create("ns/small")]);
    for (const item of items("objects"))
      if (item["k"]!.S === "ns/big" || item["p"]!.S!.startsWith("part#")) double.remove("objects", item);
    const [a] = await store.afterRestore();
    expect(a).toMatchObject({ objects: 1, repaired: [], lost: ["ns/big"] });
  });
});
