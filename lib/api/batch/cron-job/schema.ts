import type * as z from "zod";
import { ObjectReference } from "../../core/reference.ts";
import {
  boolean,
  int32,
  int64,
  list,
  message,
  metadataField,
  ObjectMeta,
  optional,
  required,
  string,
  time,
} from "../../meta/index.ts";
import { JobSpec } from "../job/schema.ts";

export const JobTemplateSpec = message("io.k8s.api.batch.v1.JobTemplateSpec", () => ({
  metadata: optional(1, ObjectMeta, "Metadata of the jobs.", { printed: true }),
  spec: optional(2, JobSpec, "Desired state of the jobs.", { printed: true }),
}));
export type JobTemplateSpec = z.infer<typeof JobTemplateSpec>;

export const CronJobSpec = message("io.k8s.api.batch.v1.CronJobSpec", () => ({
  schedule: required(1, string, "When jobs are started, as cron writes it."),
  startingDeadlineSeconds: optional(2, int64, "How late a job may still be started, in seconds.", { isPointer: true }),
  concurrencyPolicy: optional(3, string, "How concurrent jobs are handled: Allow, Forbid or Replace.", {
    default: "Allow",
    values: ["Allow", "Forbid", "Replace"],
  }),
  suspend: optional(4, boolean, "Whether the schedule is suspended.", { default: false, isPointer: true }),
  jobTemplate: required(5, JobTemplateSpec, "Template of the jobs."),
  successfulJobsHistoryLimit: optional(6, int32, "How many successful jobs are kept.", {
    default: 3,
    isPointer: true,
  }),
  failedJobsHistoryLimit: optional(7, int32, "How many failed jobs are kept.", { default: 1, isPointer: true }),
  timeZone: optional(8, string, "The time zone of the schedule, by name. Defaults to that of the server.", {
    isPointer: true,
  }),
}));
export type CronJobSpec = z.infer<typeof CronJobSpec>;

export const CronJobStatus = message("io.k8s.api.batch.v1.CronJobStatus", () => ({
  active: optional(1, list(ObjectReference), "Jobs that are running.", { list: "atomic" }),
  lastScheduleTime: optional(4, time, "The scheduled time of the last job that was started."),
  lastSuccessfulTime: optional(5, time, "When a job last succeeded."),
}));
export type CronJobStatus = z.infer<typeof CronJobStatus>;

export const CronJob = message("io.k8s.api.batch.v1.CronJob", () => ({
  metadata: metadataField(),
  spec: optional(2, CronJobSpec, "Desired state of the cron job.", { printed: true }),
  status: optional(3, CronJobStatus, "Observed state of the cron job.", { printed: true }),
}));
export type CronJob = z.infer<typeof CronJob>;
