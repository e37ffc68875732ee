import type { LabelSelector } from "./object-meta.ts";

/** A LabelSelector object as the text that `labelSelector` takes, sorted by key, in upstream's spelling. */
export function labelSelectorText({ matchLabels = {}, matchExpressions = [] }: LabelSelector): string {
  const parts: [key: string, text: string][] = Object.entries(matchLabels).map(([key, value]) => [
    key,
    `${key}=${value}`,
  ]);
  for (const { key, operator, values = [] } of matchExpressions) {
    const list = `(${[...values].sort().join(",")})`;
    if (operator === "In") parts.push([key, `${key} in ${list}`]);
    else if (operator === "NotIn") parts.push([key, `${key} notin ${list}`]);
    else parts.push([key, operator === "Exists" ? key : `!${key}`]);
  }
  return parts
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([, text]) => text)
    .join(",");
}
