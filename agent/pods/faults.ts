import { isRuntimeError } from "#agent/runtime";
import type { Pod } from "#api";
import { ApiError, messageOf } from "#base";
import type { PodsContext } from "./context.ts";

/**
 * Reports why a pod could not be synchronized: in the log, and by an event unless the error is that of the API or of
 * the runtime. Never throws: an error affects only its pod.
 */
export function reportFault({ log, record }: PodsContext, pod: Pod, error: unknown): void {
  const { namespace, name } = pod.metadata;
  const isForeign = error instanceof ApiError || isRuntimeError(error);
  const stack = error instanceof Error && !isForeign ? { stack: error.stack } : {};
  log.warn("a pod could not be synchronized", { namespace, pod: name, error: messageOf(error), ...stack });
  if (isForeign) return;
  try {
    record(pod, "Warning", "FailedSync", `error syncing pod: ${messageOf(error)}`);
  } catch (another) {
    log.warn("an event could not be recorded", { namespace, pod: name, error: messageOf(another) });
  }
}

const lists = {
  spec: ["containers", "initContainers", "ephemeralContainers", "volumes"],
  status: ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses", "conditions"],
} as const;

/** The pod without null members of its lists, which an older validation may have accepted. */
export function withoutNulls(pod: Pod): Pod {
  let cleaned = pod;
  for (const part of ["spec", "status"] as const) {
    for (const name of lists[part]) {
      const list = (cleaned[part] as Record<string, unknown[] | undefined> | undefined)?.[name];
      if (!list?.includes(null)) continue;
      cleaned = { ...cleaned, [part]: { ...cleaned[part], [name]: list.filter((member) => member !== null) } };
    }
  }
  return cleaned;
}
