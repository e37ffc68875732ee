/** batch/v1: work that ends, and work that comes again. */
export * from "./cron-job/index.ts";
export * from "./job/index.ts";
