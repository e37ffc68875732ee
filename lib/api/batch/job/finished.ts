import type { JobCondition, JobStatus } from "./schema.ts";

/** The condition of a finished job, Complete or Failed; undefined while it runs. */
export const finishedCondition = ({ status }: { status?: JobStatus | undefined }): JobCondition | undefined =>
  status?.conditions?.find(({ type, status: value }) => (type === "Complete" || type === "Failed") && value === "True");

/** Whether a job has ended (upstream's IsJobFinished). */
export const isJobFinished = (job: { status?: JobStatus | undefined }): boolean => finishedCondition(job) !== undefined;
