import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseFieldSelector, parseSelector } from "#api";

/** Selectors, and what v1.37.2 says of those that it refuses. */
const seen = JSON.parse(readFileSync(join(import.meta.dirname, "selectors.json"), "utf8")) as {
  bad: [selector: string, message: string][];
  good: string[];
  fields: [selector: string, message: string][];
};

test.each(seen.bad)("the label selector %j is refused in upstream's words", (selector, message) => {
  expect(() => parseSelector(selector)).toThrow(expect.objectContaining({ message, code: 400 }));
});

test.each(seen.good)("the label selector %j is read", (selector) => {
  expect(() => parseSelector(selector)).not.toThrow();
});

test.each(seen.fields)("the field selector %j is refused in upstream's words", (selector, message) => {
  expect(() => parseFieldSelector(selector)).toThrow(expect.objectContaining({ message, code: 400 }));
});
