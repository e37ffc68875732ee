/** batch/v1: jobs and cron jobs. */
export * from "./cron-job/index.ts";
export * from "./job/index.ts";
