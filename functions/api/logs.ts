import { ApiError } from "#base";

/** What people call what cannot be done. */
const streams: Record<string, string> = {
  exec: "running a command in a container",
  attach: "attaching to a container",
  portForward: "forwarding a port",
};

const named = (route: string): string => streams[route] ?? `asking a node for ${route}`;

/** API Gateway passes no upgraded connection, and no node can be reached from a function. */
export function notHere(route: string): ApiError {
  const why = "it passes no upgraded connections (use skiff proxy; logs are read from CloudWatch)";
  return new ApiError(501, "NotImplemented", `${named(route)} is not possible through API Gateway: ${why}`);
}

/** On Fargate nobody dials in. */
export const notOnFargate = (route: string): ApiError =>
  new ApiError(501, "NotImplemented", `${named(route)} is not possible on Fargate: no agent is there`);
