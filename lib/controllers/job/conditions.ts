import { findCondition, type Job, type JobStatus } from "#api";
import { formatTime } from "#base";

export interface Ending {
  type: "FailureTarget" | "Failed" | "SuccessCriteriaMet" | "Complete";
  reason: string;
  message: string;
}

export const failure = (reason: string, message: string): Ending => ({ type: "FailureTarget", reason, message });
export const success = (reason: string, message: string): Ending => ({ type: "SuccessCriteriaMet", reason, message });

/**
 * Puts a condition into a status; a missing condition is not added as False. Unlike for other kinds, every change of
 * reason or message also sets lastTransitionTime (upstream's ensureJobConditionStatus). Returns whether it changed.
 */
export function ensureCondition(
  status: JobStatus,
  now: number,
  { type, status: value, reason, message }: Omit<Ending, "type"> & { type: string; status: "True" | "False" },
): boolean {
  const before = findCondition(status.conditions, type);
  if (before ? before.status === value && before.reason === reason && before.message === message : value === "False") {
    return false;
  }
  const time = formatTime(now);
  const made = { type, status: value, lastProbeTime: time, lastTransitionTime: time, reason, message };
  status.conditions = before
    ? status.conditions!.map((condition) => (condition === before ? made : condition))
    : [...(status.conditions ?? []), made];
  return true;
}

/** The end of the job that an earlier reconcile has decided. */
export function decided(job: Job): Ending | undefined {
  const succeeded = findCondition(job.status?.conditions, "SuccessCriteriaMet");
  if (succeeded?.status === "True") return success(succeeded.reason ?? "", succeeded.message ?? "");
  const failed = findCondition(job.status?.conditions, "FailureTarget");
  if (failed?.status !== "True") return undefined;
  return { type: "Failed", reason: failed.reason ?? "", message: failed.message ?? "" };
}
