import { ApiError } from "#base";

/** What people call what cannot be done. */
const streams: Record<string, string> = {
  exec: "running a command in a container",
  attach: "attaching to a container",
  portForward: "forwarding a port",
};

/** API Gateway passes no upgraded connection, and no node can be reached from a function. */
export function notHere(route: string): ApiError {
  const what = streams[route] ?? `asking a node for ${route}`;
  const why = `${what} is not possible through API Gateway: it passes no upgraded connections (logs are read from CloudWatch)`;
  return new ApiError(501, "NotImplemented", why);
}
