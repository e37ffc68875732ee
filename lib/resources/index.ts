/**
 * The resource service: the registry of kinds, and the operations on their objects with defaults, admission and
 * validation. It processes users and objects, not HTTP.
 */
export { admissionRequest, mutate, validate } from "./admission.ts";
export { type Call, kindOf, named, replaceWarnings, warn } from "./call.ts";
export { command } from "./command.ts";
export { createObject } from "./create.ts";
export { EventQueue, pageBytes, type WatchItem } from "./event-queue.ts";
export type { Listener } from "./feed.ts";
export { decodeContinue, type Found, find, type ListParameters, waitForRevision } from "./list.ts";
export {
  atRevision,
  bodyOf,
  bytesAs,
  indexOf,
  keyOf,
  objectAs,
  prefixOf,
  schemaOf,
  served,
  typed,
  worded,
} from "./objects.ts";
export {
  type DeletionOptions,
  defaultOptions,
  type Preconditions,
  type Propagation,
  type WriteOptions,
} from "./options.ts";
export { isMap, notMap, type Patch, patcher } from "./patch.ts";
export { isServed, Registry, type RegistryChange, type Resource, subresourceVerbs, verbsOf } from "./registry.ts";
export { type Removed, removedStatus, removeObject } from "./remove.ts";
export { Resources, type ResourcesOptions } from "./resources.ts";
export { acceptedBy, reviewObject } from "./review.ts";
export { type ScaleObject, scaleOf, updateScale } from "./scale.ts";
export { type SelectedEvent, type Selection, selection } from "./selection.ts";
export { checkSent, updateObject } from "./update.ts";
export type { Written } from "./write.ts";
