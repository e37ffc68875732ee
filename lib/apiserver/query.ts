import { badRequest } from "#base";

/*
 * Query parameters as Go's conversion of URL values reads them into options (apimachinery, pkg/runtime/conversion.go):
 * the first value of a repeated parameter counts, unless the option is a list.
 */

/** Undefined where the parameter is absent. */
export const textOption = (query: URLSearchParams, name: string): string | undefined => query.get(name) ?? undefined;

/** Everything but `0` and `false` is true, also an empty value. Undefined where the parameter is absent. */
export function booleanOption(query: URLSearchParams, name: string): boolean | undefined {
  const text = query.get(name);
  return text === null ? undefined : text !== "0" && text.toLowerCase() !== "false";
}

const longest = 2n ** 63n;

/** A whole number of 64 bits. Undefined where the parameter is absent; throws ApiError 400 for what is no number. */
export function integerOption(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  const shown = JSON.stringify(text);
  if (!/^[+-]?\d+$/.test(text)) throw badRequest(`strconv.ParseInt: parsing ${shown}: invalid syntax`);
  const value = BigInt(text.startsWith("+") ? text.slice(1) : text);
  if (value >= longest || value < -longest) throw badRequest(`strconv.ParseInt: parsing ${shown}: value out of range`);
  return Number(value);
}
