import { expect, test } from "vitest";
import { rolloutLimits } from "./limits.ts";

// Rows of ResolveFenceposts' comment and test (pkg/controller/deployment/util, v1.37.2).
test.each([
  ["0%", "1%", 2, 0, 1],
  ["0%", "1%", 1, 0, 1],
  ["1%", "25%", 2, 1, 0],
  ["1%", "25%", 1, 1, 0],
  ["1%", "0%", 2, 1, 0],
  ["0%", "100%", 10, 0, 10],
  [0, "0", 10, 0, 1],
  ["25%", "25%", 10, 3, 2],
  [3, 2, 10, 3, 2],
  [undefined, undefined, 10, 0, 1],
])(
  "rolloutLimits resolves surge %s and unavailable %s of %i to %i and %i",
  (maxSurge, maxUnavailable, total, surge, unavailable) => {
    expect(rolloutLimits({ maxSurge, maxUnavailable }, total)).toEqual({ surge, unavailable });
  },
);
