import { expect, test } from "vitest";
import { fnv1a } from "#base";

// Values of Go's hash/fnv New32a.
test.each([
  ["", 0x811c9dc5],
  ["a", 0xe40c292c],
  ["foobar", 0xbf9cf968],
])("fnv1a of %j is %i", (text, hash) => {
  expect(fnv1a(text)).toBe(hash);
});
