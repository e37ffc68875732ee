import type { Pod } from "#api";

/** scheduling.SystemCriticalPriority. */
const systemCritical = 2_000_000_000;

/** Whether a pod is never evicted and always admitted: static pods, and those of a critical priority (IsCriticalPod). */
export function isCritical({ metadata, spec }: Pod): boolean {
  const { annotations = {} } = metadata;
  const source = annotations["kubernetes.io/config.source"];
  if ((source !== undefined && source !== "api") || annotations["kubernetes.io/config.mirror"] !== undefined)
    return true;
  return (spec?.priority ?? 0) >= systemCritical;
}
