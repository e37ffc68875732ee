/**
 * The engine under the controllers: changes become keys, keys wait in a queue that gives one worker per key at a time,
 * and `reconcile` makes the world agree with what is wanted. It knows no kind by name and no store.
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
