type Limit = number | string | undefined;

/** A count, or a share of `total` in percent; `round` rounds the share (apimachinery's GetScaledValueFromIntOrPercent). */
function scaled(value: Limit, total: number, round: (value: number) => number): number {
  if (typeof value === "string" && value.endsWith("%")) return round((Number(value.slice(0, -1)) * total) / 100);
  return Number(value ?? 0);
}

/**
 * How many pods of a rolling update may exist beyond the desired number, and how many of those may be unavailable. The
 * surge is rounded up, the other down; where both resolve to 0, one pod may be unavailable, or the update could never
 * proceed. Follows upstream's ResolveFenceposts.
 */
export function rolloutLimits(
  limits: { maxSurge?: Limit; maxUnavailable?: Limit },
  desired: number,
): { surge: number; unavailable: number } {
  const surge = scaled(limits.maxSurge, desired, Math.ceil);
  const unavailable = scaled(limits.maxUnavailable, desired, Math.floor);
  return { surge, unavailable: surge === 0 && unavailable === 0 ? 1 : unavailable };
}
