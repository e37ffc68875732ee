import type { Job, JobCondition, JobStatus } from "#api";
import { formatTime } from "#base";

export interface Ending {
  type: "FailureTarget" | "Failed" | "SuccessCriteriaMet" | "Complete";
  reason: string;
  message: string;
}

export const failure = (reason: string, message: string): Ending => ({ type: "FailureTarget", reason, message });
export const success = (reason: string, message: string): Ending => ({ type: "SuccessCriteriaMet", reason, message });

export const conditionOf = (status: JobStatus | undefined, type: string): JobCondition | undefined =>
  status?.conditions?.find((condition) => condition.type === type);
export const isTrue = (job: Job, type: string): boolean => conditionOf(job.status, type)?.status === "True";
export const isFinished = (job: Job): boolean => isTrue(job, "Complete") || isTrue(job, "Failed");

/** Puts a condition into a status, where it differs from what is there; nothing becomes false that never was. */
export function setCondition(
  status: JobStatus,
  now: number,
  { type, status: value, reason, message }: Omit<Ending, "type"> & { type: string; status: "True" | "False" },
): boolean {
  const before = conditionOf(status, type);
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

/** How an earlier look has already decided that the job ends. */
export function decided(job: Job): Ending | undefined {
  const succeeded = conditionOf(job.status, "SuccessCriteriaMet");
  if (succeeded?.status === "True") return success(succeeded.reason ?? "", succeeded.message ?? "");
  const failed = conditionOf(job.status, "FailureTarget");
  if (failed?.status !== "True") return undefined;
  return { type: "Failed", reason: failed.reason ?? "", message: failed.message ?? "" };
}
