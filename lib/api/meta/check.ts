/** Short forms that validators share. */
import { duplicateValue, type FieldError, invalidValue, notSupported, requiredValue } from "./field-error.ts";

/** One error for each message about a value. */
export const invalidAll = (field: string, value: unknown, messages: readonly string[]): FieldError[] =>
  messages.map((message) => invalidValue(field, value, message));

/** A text that must be there. */
export const requireText = (field: string, value: string | undefined, detail = ""): FieldError[] =>
  value ? [] : [requiredValue(field, detail)];

/** One of a set, or nothing where the field is absent. `supported` is printed in the order given. */
export const checkOneOf = (field: string, value: string | undefined, supported: readonly string[]): FieldError[] =>
  value === undefined || supported.includes(value) ? [] : [notSupported(field, value, supported)];

/** One of a set, where an empty text counts as missing. */
export const requireOneOf = (field: string, value: string | undefined, supported: readonly string[]): FieldError[] =>
  value ? checkOneOf(field, value, supported) : [requiredValue(field)];

export const checkNonNegative = (field: string, value: number | undefined): FieldError[] =>
  (value ?? 0) < 0 ? [invalidValue(field, value, "must be greater than or equal to 0")] : [];

export const checkPositive = (field: string, value: number): FieldError[] =>
  value > 0 ? [] : [invalidValue(field, value, "must be greater than zero")];

/** Reports a value that was seen before, and remembers it. */
export function checkUnique(field: string, value: string, seen: Set<string>): FieldError[] {
  if (seen.has(value)) return [duplicateValue(field, value)];
  seen.add(value);
  return [];
}
