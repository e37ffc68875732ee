import type { Json } from "#base";

/**
 * The error of Go's JSON decoder for a value of the wrong type; `where` is `value of type T` or `struct field S.f of
 * type T`.
 */
export const cannotUnmarshal = (json: Json, where: string): string =>
  `json: cannot unmarshal ${goKind(json)} into Go ${where}`;

function goKind(json: Json): string {
  if (Array.isArray(json)) return "array";
  if (typeof json === "boolean") return "bool";
  return typeof json === "bigint" ? "number" : typeof json;
}

/** How Go prints a decoded JSON value with `%v`: maps sorted by their keys, and strings bare. */
export function goText(json: Json): string {
  if (json === null) return "<nil>";
  if (typeof json !== "object") return String(json);
  if (Array.isArray(json)) return `[${json.map(goText).join(" ")}]`;
  const members = Object.keys(json)
    .sort()
    .map((key) => `${key}:${goText(json[key]!)}`);
  return `map[${members.join(" ")}]`;
}
