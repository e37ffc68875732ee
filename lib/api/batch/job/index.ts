/** Job: pods that run until enough of them have succeeded. */
export { completionIndexKey, trackingFinalizer } from "./facts.ts";
export { finishedCondition, isJobFinished } from "./finished.ts";
export * from "./indexes.ts";
export * from "./job.ts";
export * from "./schema.ts";
