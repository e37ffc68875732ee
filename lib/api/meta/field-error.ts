import { type StatusCause, stringifyJson } from "#base";

/** What validation finds: upstream's field.Error as a Status cause. Paths are written `spec.containers[0].name`. */
export type FieldError = Required<StatusCause>;

const error = (reason: string, field: string, message: string): FieldError => ({ reason, message, field });
function show(value: unknown): string {
  if (typeof value === "string") return goQuote(value);
  return value === undefined ? "null" : stringifyJson(value);
}

const escapes: Readonly<Record<string, string>> = {
  "\u0007": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
  '"': '\\"',
  "\\": "\\\\",
};

/** A text as Go's %q prints it: what cannot be printed is escaped. */
function goQuote(text: string): string {
  const body = text.replace(/["\\]|[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, (character) => {
    const known = escapes[character];
    if (known !== undefined) return known;
    const code = character.codePointAt(0)!;
    const hex = (digits: number) => code.toString(16).padStart(digits, "0");
    if (code < 0x20 || code === 0x7f) return `\\x${hex(2)}`;
    return code < 0x10000 ? `\\u${hex(4)}` : `\\U${hex(8)}`;
  });
  return `"${body}"`;
}

const withDetail = (head: string, detail: string): string => (detail === "" ? head : `${head}: ${detail}`);

export const requiredValue = (field: string, detail = ""): FieldError =>
  error("FieldValueRequired", field, withDetail("Required value", detail));
export const invalidValue = (field: string, value: unknown, detail: string): FieldError =>
  error("FieldValueInvalid", field, withDetail(`Invalid value: ${show(value)}`, detail));
/** `supported` is printed in the order given. */
export const notSupported = (field: string, value: unknown, supported: readonly string[]): FieldError =>
  error(
    "FieldValueNotSupported",
    field,
    withDetail(
      `Unsupported value: ${show(value)}`,
      supported.length === 0 ? "" : `supported values: ${supported.map((item) => `"${item}"`).join(", ")}`,
    ),
  );
export const duplicateValue = (field: string, value: unknown): FieldError =>
  error("FieldValueDuplicate", field, `Duplicate value: ${show(value)}`);
export const forbiddenValue = (field: string, detail: string): FieldError =>
  error("FieldValueForbidden", field, withDetail("Forbidden", detail));
/** `maximum` counts bytes. */
export const tooLong = (field: string, maximum: number): FieldError =>
  error("FieldValueTooLong", field, `Too long: may not be more than ${maximum} bytes`);
export const tooMany = (field: string, actual: number, maximum: number): FieldError =>
  error(
    "FieldValueTooMany",
    field,
    `Too many: ${actual}: must have at most ${maximum} item${maximum === 1 ? "" : "s"}`,
  );
export const notFoundValue = (field: string, value: unknown): FieldError =>
  error("FieldValueNotFound", field, `Not found: ${show(value)}`);
