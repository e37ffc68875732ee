/**
 * How requests are answered: a function from a plain request to a plain response, over a store, a catalog of kinds,
 * and whoever says who asks and what is admitted. It never knows which kind it serves, which store keeps it, or
 * which host took the request.
 */
export { refusal, statusOf } from "./answer.ts";
export { type ApiServer, apiServer } from "./api-server.ts";
export type { AuditEvent, AuditSink } from "./audit.ts";
export { methodNotAllowed } from "./dispatch.ts";
export type { Listener } from "./feed.ts";
export { createRegistry, type Registry, type Resource } from "./registry.ts";
export type { ApiRequest, ApiResponse, RequestInfo } from "./request.ts";
export {
  defaultLimits,
  type Limits,
  type NodeLinks,
  type ServerOptions,
  type Version,
  type WatchPlaces,
} from "./server.ts";
