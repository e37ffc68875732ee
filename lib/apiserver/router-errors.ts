import { ApiError } from "#base";

/** Upstream's router for unknown paths below a served group. */
export const resourceNotFound = (): ApiError =>
  new ApiError(404, "NotFound", "the server could not find the requested resource", {});
/** Upstream's router for a method that a path lacks. */
export const methodNotAllowed = (): ApiError =>
  new ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {});
