/** What ConfigMaps and Secrets share. */
import { deepEqual } from "#base";
import { type FieldError, forbiddenValue } from "../meta/index.ts";

/** What a Secret or ConfigMap may hold, in bytes. */
export const maximumData = 1024 * 1024;
/** Length of the bytes behind base64 text. */
export const base64Length = (text: string): number =>
  (text.length / 4) * 3 - (text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0);

/** What must stay as it is once `immutable` is true, `immutable` itself included. */
export function validateFrozen<T extends { immutable?: boolean | undefined }>(
  next: T,
  previous: T,
  fields: readonly (keyof T & string)[],
): FieldError[] {
  const why = "field is immutable when `immutable` is set";
  const changed = fields.filter((field) => !deepEqual(next[field], previous[field]));
  return [...(next.immutable ? [] : ["immutable"]), ...changed].map((field) => forbiddenValue(field, why));
}
