/** CronJob: jobs that are started by the clock, and when that is. */
export * from "./cron-job.ts";
export { parseSchedule, type Schedule } from "./schedule.ts";
export * from "./schema.ts";
export { isTimeZone } from "./time-zone.ts";
