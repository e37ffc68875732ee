/**
 * Assigns pods to nodes: upstream's framework of plugins over a queue with backoff and a snapshot of the nodes that is
 * updated with every change. It reads and binds through the client and never connects to a node.
 */
export { concernsScheduler } from "./concerns.ts";
export { plugins } from "./plugins/index.ts";
export { type Scheduler, type SchedulerOptions, startScheduler } from "./scheduler.ts";
