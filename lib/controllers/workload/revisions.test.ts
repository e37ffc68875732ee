import { expect, test } from "vitest";
import { beyondHistory, nextRevision, parseRevision } from "./revisions.ts";

// MaxRevision (pkg/controller/deployment/util, v1.37.2) and history.NextRevision: revisions are int64.
test("nextRevision keeps all digits of a revision that a double cannot hold", () => {
  // The revision that upstream's test of rolling updates gives to the set that is adopted.
  expect(nextRevision([3546343826724305832n, 7n, 0n])).toBe(3546343826724305833n);
  expect(nextRevision([])).toBe(1n);
});

test("parseRevision accepts what Go's ParseInt accepts in 64 bits", () => {
  expect(["7", "+7", "-7", "007"].map(parseRevision)).toEqual([7n, 7n, -7n, 7n]);
  for (const text of ["", "x", "1.0", "0x1", "1e3", "9223372036854775808"]) expect(parseRevision(text)).toBeUndefined();
});

test("beyondHistory returns the oldest items beyond the limit", () => {
  const revisions = [12n, 9n, 100n, 2n];
  expect(beyondHistory(revisions, 2, (revision) => revision)).toEqual([2n, 9n]);
  expect(beyondHistory(revisions, 0, (revision) => revision)).toEqual([2n, 9n, 12n, 100n]);
  expect(beyondHistory(revisions, 4, (revision) => revision)).toEqual([]);
});
