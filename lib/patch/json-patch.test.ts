import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type ApiError, type Json, type JsonObject, parseJson } from "#base";
import { jsonPatch, unknownInJsonPatch } from "./index.ts";

interface Row {
  patch: Json;
  result?: Json;
  /** The error of upstream's library for a patch that it cannot decode: 400. */
  malformed?: string;
  /** Its error for one that does not apply: 422. */
  refused?: string;
}

const golden = parseJson(
  readFileSync(join(import.meta.dirname, "../../test/golden/json-patch.json"), "utf8"),
) as unknown as { document: JsonObject; rows: Row[] };

function outcome(patch: Json): Json {
  const before = JSON.stringify(golden.document);
  try {
    return { result: jsonPatch(golden.document, patch) };
  } catch (error) {
    const { code, message } = error as ApiError;
    return code === 400 ? { malformed: message } : { refused: code };
  } finally {
    expect(JSON.stringify(golden.document)).toBe(before);
  }
}

test("JSON patches do what upstream's library does", () => {
  expect(golden.rows.length).toBeGreaterThan(700);
  for (const { patch, ...row } of golden.rows) {
    const expected = row.refused === undefined ? row : { refused: 422 };
    expect({ patch, ...(outcome(patch) as JsonObject) }).toEqual({ patch, ...expected });
  }
});

test("shows only the error code of a patch that does not apply", () => {
  expect(() => jsonPatch({}, [{ op: "remove", path: "/a" }])).toThrow(
    "the server rejected our request due to an error in our request",
  );
});

// Upstream ends the request in a panic for these (json-patch.v4 v4.13.0), which the client sees as 500 or a closed stream.
test.each([[[{ op: "test", path: "" }]], [[{ op: "replace", path: "" }]]])("%j is refused", (patch) => {
  expect(outcome(patch)).toEqual({ refused: 422 });
});

test("rejects more than 10,000 operations", () => {
  const many = Array.from({ length: 10_001 }, () => ({ op: "test", path: "", value: {} }));
  // apiserver's patch.go, maxJSONPatchOperations.
  expect(() => jsonPatch({}, many)).toThrow(
    "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001",
  );
  expect(jsonPatch({}, many.slice(1))).toEqual({});
});

test("copies cannot make an object grow by more than 3 MiB", () => {
  const doubling = Array.from({ length: 40 }, () => ({ op: "copy", from: "/a", path: "/a/-" }));
  expect(() => jsonPatch({ a: ["0123456789"] }, doubling)).toThrow(/error in our request/);
});

test("treats names such as `__proto__` as names", () => {
  const patched = jsonPatch({}, [
    { op: "add", path: "/__proto__", value: { polluted: "yes" } },
    { op: "copy", from: "/constructor", path: "/copied" },
  ]);
  expect(JSON.stringify(patched)).toBe('{"__proto__":{"polluted":"yes"},"copied":null}');
  expect(({} as { polluted?: string }).polluted).toBeUndefined();
});

test("the strict decoder names unknown members and wrong types", () => {
  const patch = [{ op: "add", path: "/a", value: 1, extra: 1 }, null, { Op: "x" }];
  expect(unknownInJsonPatch(patch)).toEqual(["[0].extra", "[2].Op"]);
  expect(unknownInJsonPatch(null)).toEqual([]);
});
