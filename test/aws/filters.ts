/*
 * Event filters as event source mappings and EventBridge rules read them: leaves are lists of values or of one-keyed
 * conditions, of which one must hold.
 */

type Condition = string | number | boolean | null | Record<string, unknown>;

/** Whether an event passes one pattern. Throws for an unknown condition, so that none is ignored. */
export function passes(pattern: Record<string, unknown>, event: unknown): boolean {
  return Object.entries(pattern).every(([name, wanted]) => {
    const value = typeof event === "object" && event !== null ? (event as Record<string, unknown>)[name] : undefined;
    if (Array.isArray(wanted)) return wanted.some((condition) => holds(condition as Condition, value));
    return passes(wanted as Record<string, unknown>, value);
  });
}

function holds(condition: Condition, value: unknown): boolean {
  if (typeof condition !== "object" || condition === null) {
    return Array.isArray(value) ? value.includes(condition) : value === condition;
  }
  const [[name, operand]] = Object.entries(condition) as [[string, unknown]];
  // Of leaves alone: an object is no value.
  if (name === "exists")
    return (value !== undefined && (typeof value !== "object" || Array.isArray(value))) === operand;
  if (name === "prefix") return typeof value === "string" && value.startsWith(String(operand));
  if (name === "suffix") return typeof value === "string" && value.endsWith(String(operand));
  if (name === "anything-but" && Array.isArray(operand)) return value !== undefined && !operand.includes(value);
  throw new Error(`the filter ${JSON.stringify(condition)} is not known here`);
}
