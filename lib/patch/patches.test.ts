import { expect, test } from "vitest";
import { jsonPatch, mergePatch } from "./index.ts";

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

test("JSON patch operations apply to a copy, all or none", () => {
  const object = { a: { b: [1, 2] } };
  const patched = jsonPatch(object, [
    { op: "test", path: "/a/b/0", value: 1 },
    { op: "add", path: "/a/b/-", value: 3 },
    { op: "move", from: "/a/b/0", path: "/c" },
  ]);
  expect(patched).toEqual({ a: { b: [2, 3] }, c: 1 });
  expect(object).toEqual({ a: { b: [1, 2] } });
  const failing = [
    { op: "remove", path: "/a/b/0" },
    { op: "test", path: "/a/b/0", value: 99 },
  ];
  expect(() => jsonPatch(object, failing)).toThrow("the server rejected our request due to an error in our request");
  expect(object).toEqual({ a: { b: [1, 2] } });
});

test("a JSON patch that is none is refused", () => {
  expect(() => jsonPatch({}, {})).toThrow(/cannot unmarshal object/);
  expect(() => jsonPatch({}, [{ op: "fly", path: "/a" }])).toThrow(/error in our request/);
  expect(() => jsonPatch({}, [{ op: "add", path: "/__proto__/x", value: 1 }])).toThrow(/error in our request/);
  const stolen = [{ op: "copy", from: "/__proto__", path: "/x" }];
  expect(() => jsonPatch({}, stolen)).toThrow(/error in our request/);
  const many = Array.from({ length: 10_001 }, () => ({ op: "test", path: "", value: {} }));
  expect(() => jsonPatch({}, many)).toThrow(/maximum operations/);
});
