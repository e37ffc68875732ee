import { RetryAfter } from "#reconcile";

/** Milliseconds until a retry after errors that pass with time, by the error's code. */
const busy = new Map([
  ["Throttling", 2000],
  ["RequestLimitExceeded", 2000],
  ["TooManyRequests", 2000],
  ["PriorRequestNotComplete", 2000],
  ["InternalError", 2000],
  ["InternalFailure", 2000],
  ["Unavailable", 2000],
  ["ServiceUnavailable", 2000],
  // A resource was just created and is not visible everywhere yet.
  ["InvalidGroup.Duplicate", 5000],
  ["InvalidGroup.NotFound", 5000],
  ["LoadBalancerNotFound", 5000],
  ["TargetGroupNotFound", 5000],
  ["ListenerNotFound", 5000],
  ["DuplicateLoadBalancerName", 5000],
  ["DuplicateTargetGroupName", 5000],
  ["DuplicateListener", 5000],
  // A resource that is being deleted still exists.
  ["ResourceInUse", 10_000],
  ["DependencyViolation", 10_000],
  ["InvalidGroup.InUse", 10_000],
  ["TargetGroupAssociationLimit", 10_000],
]);

/** The code of an error as AWS documents it; the SDK appends `Exception` to some of them. */
export const codeOf = (error: unknown): string => (error instanceof Error ? error.name.replace(/Exception$/, "") : "");

export const isCode = (error: unknown, ...codes: string[]): boolean => codes.includes(codeOf(error));

/** Runs calls. Errors that pass with time become RetryAfter. */
export async function asRetryAfter<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const wait = busy.get(codeOf(error));
    if (wait === undefined) throw error;
    throw new RetryAfter(wait, `${codeOf(error)}: ${(error as Error).message}`, { cause: error });
  }
}

/** Resolves with undefined when the call fails with one of these codes. */
export async function unless<T>(codes: readonly string[], call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (isCode(error, ...codes)) return undefined;
    throw error;
  }
}
