/**
 * The API server over HTTP: a function from a plain request to a plain response, on top of the resource service. It
 * authenticates, authorizes, negotiates and encodes. It names no kind, and depends on no store and no socket.
 */
export { refusal, statusOf } from "./answer.ts";
export { ApiServer } from "./api-server.ts";
export type { AuditEvent, AuditSink } from "./audit.ts";

export type { ApiRequest, ApiResponse, RequestInfo } from "./request.ts";
export { methodNotAllowed } from "./router-errors.ts";
export {
  type DialTarget,
  defaultLimits,
  type Limits,
  type NodeLinks,
  type ServerOptions,
  type Version,
  type WatchPlaces,
} from "./server.ts";
