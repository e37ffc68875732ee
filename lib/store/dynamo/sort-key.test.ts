import { expect, test } from "vitest";
import { bound } from "./sort-key.ts";

test("cuts a bound to the length of a sort key, between characters", () => {
  expect(bound("ns/a")).toBe("ns/a");
  for (const text of ["x".repeat(1024), "é".repeat(512)]) expect(bound(text)).toBe(text);
  expect(bound("x".repeat(1025))).toBe("x".repeat(1024));
  expect(bound(`x${"é".repeat(600)}`)).toBe(`x${"é".repeat(511)}`);
  expect(bound(`xx${"😀".repeat(600)}`)).toBe(`xx${"😀".repeat(255)}`);
});
