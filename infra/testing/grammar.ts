/*
 * The grammar of AWS's event patterns, as far as the app uses it. AWS rejects errors only at deployment; this check
 * runs before.
 */

/** The faults of a pattern; empty for a valid one. `lambda` is the narrower grammar of event source mappings. */
export function faultsOf(pattern: unknown, { lambda }: { lambda: boolean }, path = "$"): string[] {
  if (typeof pattern !== "object" || pattern === null || Array.isArray(pattern)) return [`${path}: must be an object`];
  const entries = Object.entries(pattern);
  if (entries.length === 0) return [`${path}: must not be empty`];
  return entries.flatMap(([key, value]) => {
    const inner = `${path}.${key}`;
    if (!Array.isArray(value)) return faultsOf(value, { lambda }, inner);
    if (value.length === 0) return [`${inner}: an empty list matches nothing`];
    return value.flatMap((leaf, index) => leafFaults(leaf, { lambda }, `${inner}[${index}]`));
  });
}

const isScalar = (value: unknown): boolean => ["string", "number", "boolean"].includes(typeof value) || value === null;

function leafFaults(leaf: unknown, { lambda }: { lambda: boolean }, path: string): string[] {
  if (isScalar(leaf)) return [];
  if (typeof leaf !== "object" || Array.isArray(leaf)) return [`${path}: must be a value or a matcher`];
  const entries = Object.entries(leaf as object);
  const [name = "", value] = entries[0] ?? [];
  if (entries.length !== 1) return [`${path}: a matcher has one word`];
  const only = (isRight: boolean): string[] =>
    isRight ? [] : [`${path}: ${name} cannot be given ${JSON.stringify(value)}`];
  switch (name) {
    case "exists":
      return only(typeof value === "boolean");
    case "prefix":
    case "suffix":
    case "equals-ignore-case":
      return only(typeof value === "string" && value !== "");
    case "anything-but":
      // EventBridge accepts a nested matcher in some places and Lambda in none: it is not used.
      return only(isScalar(value) || (Array.isArray(value) && value.length > 0 && value.every(isScalar)));
    case "numeric":
      return only(Array.isArray(value) && (value.length === 2 || value.length === 4));
    case "cidr":
    case "wildcard":
      return lambda ? [`${path}: Lambda knows no ${name}`] : only(typeof value === "string");
    default:
      return [`${path}: unknown matcher ${name}`];
  }
}
