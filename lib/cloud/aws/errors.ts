import { RetryAfter } from "#reconcile";

/** Too many calls, something that still holds what is to go, or what another call is about to change. */
const busy = new Map([
  ["Throttling", 2000],
  ["RequestLimitExceeded", 2000],
  ["TooManyRequests", 2000],
  ["PriorRequestNotComplete", 2000],
  ["InternalError", 2000],
  ["InternalFailure", 2000],
  ["Unavailable", 2000],
  ["ServiceUnavailable", 2000],
  // Something was just made and is not seen everywhere yet.
  ["InvalidGroup.Duplicate", 5000],
  ["InvalidGroup.NotFound", 5000],
  ["LoadBalancerNotFound", 5000],
  ["TargetGroupNotFound", 5000],
  ["ListenerNotFound", 5000],
  ["DuplicateLoadBalancerName", 5000],
  ["DuplicateTargetGroupName", 5000],
  ["DuplicateListener", 5000],
  // Something that goes is not gone yet.
  ["ResourceInUse", 10_000],
  ["DependencyViolation", 10_000],
  ["InvalidGroup.InUse", 10_000],
  ["TargetGroupAssociationLimit", 10_000],
]);

/** The SDK calls an error `…Exception` that has no such end in the documents. */
export const codeOf = (error: unknown): string => (error instanceof Error ? error.name.replace(/Exception$/, "") : "");

export const isCode = (error: unknown, ...codes: string[]): boolean => codes.includes(codeOf(error));

/** Runs calls; what the cloud cannot do just now becomes RetryAfter. */
export async function patiently<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const wait = busy.get(codeOf(error));
    if (wait === undefined) throw error;
    throw new RetryAfter(wait, `${codeOf(error)}: ${(error as Error).message}`, { cause: error });
  }
}

/** Undefined instead of an error with one of these codes. */
export async function unless<T>(codes: readonly string[], call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (isCode(error, ...codes)) return undefined;
    throw error;
  }
}
