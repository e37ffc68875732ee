import type { JobCondition, JobStatus } from "./schema.ts";

/** The condition that says how a job has ended, Complete or Failed; undefined while it has not. */
export const finishedCondition = ({ status }: { status?: JobStatus | undefined }): JobCondition | undefined =>
  status?.conditions?.find(({ type, status: value }) => (type === "Complete" || type === "Failed") && value === "True");

/** Whether a job has ended (upstream's IsJobFinished). */
export const isJobFinished = (job: { status?: JobStatus | undefined }): boolean => finishedCondition(job) !== undefined;
