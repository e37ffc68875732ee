/**
 * The engine of the controllers: changes become keys, keys wait in a queue that hands each to one worker at a time, and
 * `reconcile` brings the actual state to the desired one. It names no kind and sees no store.
 */
export {
  type AnyController,
  type Controller,
  type ControllerContext,
  defineController,
  type Key,
  type ObjectEvent,
  type Recorder,
  type Result,
  reconcileKey,
  type ServedKinds,
  type Watched,
  type WatchedKinds,
  watching,
} from "./controller.ts";
export { RetryAfter, Terminal } from "./errors.ts";
export { createQueue, type Queue } from "./queue.ts";
export { decodeKey, encodeKey, type Route, routesOf, type Work, workOf } from "./route.ts";
export { type Engine, runControllers } from "./run.ts";
