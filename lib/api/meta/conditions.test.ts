import { expect, test } from "vitest";
import { type AnyCondition, findCondition, isConditionTrue, setCondition } from "./conditions.ts";

const at = (second: number): number => Date.parse("2030-01-01T00:00:00Z") + second * 1000;
const ready = (status: string, reason = "R") => ({ type: "Ready", status, reason });
const other: AnyCondition = { type: "Other", status: "False", lastTransitionTime: "2029-01-01T00:00:00Z" };

// Rows follow apimachinery's SetStatusCondition, pkg/api/meta/conditions.go.
test("setCondition appends a condition with the time of the write", () => {
  const conditions = setCondition([other], ready("True"), at(1));
  expect(conditions).toEqual([other, { ...ready("True"), lastTransitionTime: "2030-01-01T00:00:01Z" }]);
  expect(isConditionTrue(conditions, "Ready")).toBe(true);
  expect(isConditionTrue(conditions, "Other")).toBe(false);
  expect(findCondition(conditions, "Missing")).toBeUndefined();
  expect(setCondition(undefined, ready("True"), at(1))).toHaveLength(1);
});

test("setCondition keeps lastTransitionTime while the status stays, and the condition's place in the list", () => {
  const first = setCondition([ready("True"), other], ready("True", "First"), at(1));
  const second = setCondition(first, ready("True", "Second"), at(2));
  expect(second).toEqual([{ ...ready("True", "Second"), lastTransitionTime: "2030-01-01T00:00:01Z" }, other]);
  expect(setCondition(second, ready("False", "Second"), at(3))[0]).toEqual({
    ...ready("False", "Second"),
    lastTransitionTime: "2030-01-01T00:00:03Z",
  });
});

test("setCondition returns the same list where nothing changes", () => {
  const conditions = setCondition([other], ready("True"), at(1));
  expect(setCondition(conditions, ready("True"), at(9))).toBe(conditions);
});
