/** A JSON value. Integers beyond 2^53 are bigints, so that an int64 survives the way through a server. */
export type Json = null | boolean | number | bigint | string | Json[] | JsonObject;
export interface JsonObject {
  [key: string]: Json;
}

interface SourceContext {
  source?: string;
}
const raw = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON;

/** Sixteen digits in a row: the shortest number that a double may not hold. Strings may match too; that only costs time. */
const mayBeLarge = /\d{16}/;
const integer = /^-?\d+$/;

const lossless = (_key: string, value: unknown, context?: SourceContext): unknown => {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
  const source = context?.source;
  return source !== undefined && integer.test(source) ? BigInt(source) : value;
};

/** Parses JSON without losing large integers. Throws SyntaxError as JSON.parse does. */
export function parseJson(text: string): Json {
  if (!mayBeLarge.test(text)) return JSON.parse(text) as Json;
  return JSON.parse(text, lossless as (key: string, value: unknown) => unknown) as Json;
}

const withBigints = (_key: string, value: unknown): unknown =>
  typeof value === "bigint" ? raw(value.toString()) : value;

/** Prints JSON on one line; bigints become plain integers. */
export function stringifyJson(value: unknown, indent?: number): string {
  try {
    return JSON.stringify(value, undefined, indent);
  } catch (error) {
    // Only a bigint makes plain data unprintable; a replacer slows every other object, so it is the second try.
    if (!(error instanceof TypeError)) throw error;
    return JSON.stringify(value, withBigints, indent);
  }
}

/** Whether two JSON values are the same; the order of keys does not count, an undefined member counts as absent. */
export function deepEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null)
    return Number.isNaN(a) && Number.isNaN(b);
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
    return a.every((item, index) => deepEqual(item, b[index]));
  }
  const left = a as Record<string, unknown>;
  const right = b as Record<string, unknown>;
  for (const key in left) if (!deepEqual(left[key], right[key])) return false;
  for (const key in right) if (right[key] !== undefined && left[key] === undefined) return false;
  return true;
}

/** A deep copy of plain JSON data. */
export function clone<T>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(clone) as T;
  const copy: Record<string, unknown> = {};
  for (const key in value) {
    const member = (value as Record<string, unknown>)[key];
    if (key === "__proto__")
      Object.defineProperty(copy, key, { value: clone(member), enumerable: true, writable: true, configurable: true });
    else copy[key] = clone(member);
  }
  return copy as T;
}
