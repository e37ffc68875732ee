import { createRequire } from "node:module";
import { expect, test } from "vitest";
import { waitDefinition } from "./wait.ts";

interface Verdict {
  isValid: boolean;
  errorsText: (separator?: string) => string;
}
// It has only a CommonJS entry.
const validate = createRequire(import.meta.url)("asl-validator") as (
  definition: unknown,
  options?: { checkPaths?: boolean; checkArn?: boolean },
) => Verdict;

const checks = { checkPaths: true, checkArn: true };

test("Step Functions accepts the definition", () => {
  const verdict = validate(waitDefinition("aws"), checks);
  expect(verdict.isValid, verdict.errorsText("\n")).toBe(true);
});

test("the validator sees a mistake", () => {
  const definition = waitDefinition("aws");
  expect(validate({ ...definition, StartAt: "Nowhere" }, checks).isValid).toBe(false);
});

test("every field of the input is used", () => {
  const text = JSON.stringify(waitDefinition("aws-cn"));
  for (const field of ["until", "queueUrl", "body", "group", "dedup"]) expect(text).toContain(`"$.${field}"`);
  expect(text).toContain("arn:aws-cn:states:::sqs:sendMessage");
});
