import { expect, test } from "vitest";
import { mergePatch } from "./index.ts";

test("a merge patch follows RFC 7396's own examples", () => {
  const rows: [unknown, unknown, unknown][] = [
    [{ a: "b" }, { a: "c" }, { a: "c" }],
    [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
    [{ a: "b" }, { a: null }, {}],
    [{ a: ["b"] }, { a: "c" }, { a: "c" }],
    [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: "b", c: null }, { a: "b" }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ];
  for (const [target, patch, expected] of rows) expect(mergePatch(target as never, patch as never)).toEqual(expected);
});

test("a merge patch does not reach into prototypes", () => {
  const patch = JSON.parse('{"__proto__":{"polluted":true}}');
  expect(mergePatch({}, patch)).toEqual(patch);
  expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
});
