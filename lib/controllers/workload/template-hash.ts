import type { PodTemplateSpec } from "#api";
import { fnv1a } from "#base";

const alphabet = "bcdfghjklmnpqrstvwxz2456789";

/** JSON with sorted keys: equal templates yield equal text. */
function stable(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(stable).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return `{${members
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${stable(member)}`)
    .join(",")}}`;
}

/**
 * The value of the pod-template-hash label: FNV-1a of the template and the collision count, in letters that form no
 * words. Upstream hashes another text in the same way, so the values differ from upstream's.
 */
export function templateHash(template: PodTemplateSpec, collisionCount: number | undefined): string {
  const hash = fnv1a(`${stable(template)}${collisionCount ?? ""}`);
  return Array.from(String(hash), (digit) => alphabet[digit.charCodeAt(0) % alphabet.length]).join("");
}
