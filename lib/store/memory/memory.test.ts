import { describe, expect, it } from "vitest";
import { create, storeConformance } from "#store/conformance";
import { memoryStore } from "#store/memory";

storeConformance("memoryStore", async () => ({ store: memoryStore() }));

describe("memoryStore", () => {
  it("starts its counters at the configured revision", async () => {
    const store = memoryStore({ start: 2 ** 40 });
    expect((await store.list("things")).revision).toBe(2 ** 40);
    const [entry] = await store.commit("things", [create("ns/a")]);
    expect(entry).toMatchObject({ revision: 2 ** 40 + 1 });
    expect((await store.changes("things", 2 ** 40)).changes).toHaveLength(1);
  });
});
