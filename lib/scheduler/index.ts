/**
 * Gives pods their nodes: upstream's framework of plugins over a queue with backoff and a snapshot of the nodes that
 * is kept change by change. It reads and binds through the client and never talks to a node.
 */
export { concernsScheduler } from "./concerns.ts";
export { plugins } from "./plugins/index.ts";
export { type Scheduler, type SchedulerOptions, startScheduler } from "./scheduler.ts";
