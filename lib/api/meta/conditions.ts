import { deepEqual, formatTime } from "#base";

/** What the conditions of all kinds have in common. */
export interface AnyCondition {
  type: string;
  status: string;
  reason?: string | undefined;
  message?: string | undefined;
  lastTransitionTime?: string | undefined;
}

/** The condition of a type (apimachinery's FindStatusCondition). */
export const findCondition = <T extends { type: string }>(conditions: readonly T[] = [], type: string): T | undefined =>
  conditions.find((condition) => condition.type === type);

/** Whether the condition of a type is True (apimachinery's IsStatusConditionTrue). */
export const isConditionTrue = (conditions: readonly AnyCondition[] | undefined, type: string): boolean =>
  findCondition(conditions, type)?.status === "True";

/**
 * `next` with its lastTransitionTime: that of `before` where both have the same status, else `now`, in milliseconds
 * since the epoch.
 */
export function withTransitionTime<T extends AnyCondition>(before: AnyCondition | undefined, next: T, now: number): T {
  const since = before?.status === next.status ? before.lastTransitionTime : undefined;
  return { ...next, lastTransitionTime: since ?? formatTime(now) };
}

/**
 * The conditions with `next` in the place of the condition of its type, or at the end; its lastTransitionTime only
 * moves with its status. Returns the same list where nothing changes. Follows apimachinery's SetStatusCondition.
 */
export function setCondition<T extends AnyCondition>(conditions: readonly T[] = [], next: T, now: number): T[] {
  const before = findCondition(conditions, next.type);
  const written = withTransitionTime(before, next, now);
  if (!before) return [...conditions, written];
  if (deepEqual(before, written)) return conditions as T[];
  return conditions.map((condition) => (condition === before ? written : condition));
}
