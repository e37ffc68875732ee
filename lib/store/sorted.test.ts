import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { afterPrefix, compareKeys, Sorted } from "#store";

describe("Sorted", () => {
  it("behaves as a sorted array, however often its chunks split", () => {
    let seed = 1;
    const dice = (sides: number) => {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      return seed % sides;
    };
    const sorted = new Sorted<{ key: string; value: number }>();
    const model = new Map<string, number>();
    for (let step = 0; step < 20_000; step++) {
      const key = `k${dice(6000)}`;
      if (dice(4) === 0) expect(sorted.delete(key)).toBe(model.delete(key));
      else {
        sorted.set({ key, value: step });
        model.set(key, step);
      }
    }
    const keys = [...model.keys()].sort(compareKeys);
    expect(sorted.size).toBe(keys.length);
    expect(sorted.slice(0, Number.POSITIVE_INFINITY).map(({ key }) => key)).toEqual(keys);
    expect(sorted.slice(700, 1300).map(({ key }) => key)).toEqual(keys.slice(700, 2000));
    for (const key of keys) {
      expect(sorted.get(key)?.value).toBe(model.get(key));
      expect(sorted.rank(key)).toBe(keys.indexOf(key));
    }
    expect(sorted.get("k")).toBeUndefined();
    expect(sorted.rank("z")).toBe(keys.length);
    for (const key of keys) sorted.delete(key);
    expect(sorted.slice(0, 5)).toEqual([]);
  });

  it("accepts a sorted list", () => {
    const things = Array.from({ length: 2000 }, (_, index) => ({ key: String(index).padStart(5, "0") }));
    const sorted = Sorted.of(things);
    expect(sorted.slice(0, 5000)).toEqual(things);
    expect(sorted.rank("01000")).toBe(1000);
    expect(Sorted.of([]).size).toBe(0);
  });
});

describe("keys", () => {
  it("compare as their UTF-8 bytes do", () => {
    const text = fc.string({
      unit: fc.constantFrom("a", "z", "\u0000", "é", "\ud7ff", "\ue000", "\uffff", "😀", "\u{10ffff}"),
    });
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(Math.sign(compareKeys(a, b))).toBe(Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b))));
      }),
    );
  });

  it("after a prefix are exactly the keys that sort above and do not start with it", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "z", "/", "\ud7ff", "\ue000", "\u{10ffff}"), maxLength: 4 });
    fc.assert(
      fc.property(text, text, (prefix, key) => {
        const end = afterPrefix(prefix);
        const isInside = compareKeys(key, prefix) >= 0 && (end === undefined || compareKeys(key, end) < 0);
        expect(isInside).toBe(key.startsWith(prefix));
      }),
    );
  });
});
