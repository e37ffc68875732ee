import type { NodeRequest } from "#api/meta";
import { ApiError } from "#base";
import { nodeRequestText } from "#node-link";

/** API Gateway passes no upgraded connection, and no node can be reached from a function. */
export function notHere(request: NodeRequest): ApiError {
  const why = "it passes no upgraded connections (use skiff proxy; logs are read from CloudWatch)";
  return new ApiError(501, "NotImplemented", `${nodeRequestText(request)} is not possible through API Gateway: ${why}`);
}

/** No agent connects for a Fargate node. */
export const notOnFargate = (request: NodeRequest): ApiError =>
  new ApiError(
    501,
    "NotImplemented",
    `${nodeRequestText(request)} is not possible on Fargate: its tasks have no agent`,
  );
