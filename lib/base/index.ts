/**
 * The foundation of every room: clock, random source, ids, JSON, log, abort, and the API's one error. It imports
 * nothing and knows neither kinds nor stores nor sockets.
 */
export { abortable, aborted, type Deferred, deferred } from "./abort.ts";
export { type Clock, sleep, systemClock, type Timer, within } from "./clock.ts";
export {
  ApiError,
  alreadyExists,
  badRequest,
  conflict,
  expired,
  forbidden,
  gone,
  hasCause,
  ignoreNotFound,
  ignoreReasons,
  internalError,
  invalid,
  isApiError,
  isReason,
  notAcceptable,
  notFound,
  type ResourceName,
  requestEntityTooLarge,
  resourceName,
  type Status,
  type StatusCause,
  type StatusDetails,
  serverTimeout,
  serviceUnavailable,
  timeout,
  tooManyRequests,
  unauthorized,
  unsupported,
  unsupportedMediaType,
} from "./errors.ts";
export { fnv1a } from "./hash.ts";
export { nameSuffix, type Random, systemRandom, uuid } from "./ids.ts";
export { clone, deepEqual, type Json, type JsonObject, parseJson, stringifyJson } from "./json.ts";
export { type JsonLogOptions, jsonLog, type LogLevel } from "./json-log.ts";
export { type Log, type LogFields, messageOf, plainFields, silentLog } from "./log.ts";
export type { Progress } from "./progress.ts";
export { formatMicroTime, formatTime, parseTime } from "./time.ts";
export { type WatchdogOptions, watchdog } from "./watchdog.ts";
