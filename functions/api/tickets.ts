import type { ApiRequest, ApiResponse } from "#apiserver";
import { badRequest, serviceUnavailable } from "#base";
import { isFargateNode } from "#fargate";
import type { Connections, Relays } from "#hosts/aws";
import { encodeNodeRequest } from "#node-link";
import { notHere, notOnFargate } from "./logs.ts";

export interface TicketParts {
  connections: Connections;
  relays: Relays;
}

/**
 * API Gateway cannot upgrade connections. Instead of proxying to the node, an authorized client receives a single-use
 * ticket for exactly this request, and redeems it at the WebSocket API. Tickets are bound to the signing principal.
 * Throws ApiError 501 if the request is not signed or the pod is on Fargate, 503 if the agent is not connected.
 */
export async function ticketFor(
  { peer }: ApiRequest,
  { tunnel }: ApiResponse,
  { connections, relays }: TicketParts,
): Promise<ApiResponse> {
  if (!tunnel) throw badRequest("nothing here can be upgraded");
  const { node, request } = tunnel;
  const principal = peer?.principal?.arn;
  // A ticket is for a request that the agent itself serves.
  if (principal === undefined || request.type === "dial") throw notHere(request);
  if (isFargateNode(node)) throw notOnFargate(request);
  const agent = await connections.of(node);
  if (agent === undefined) throw serviceUnavailable(`the agent of node ${node} is not connected`);
  const ticket = await relays.allow(principal, { node, agent, path: encodeNodeRequest(request) });
  return {
    status: 201,
    headers: { "content-type": "application/json", "cache-control": "no-store" },
    body: Buffer.from(JSON.stringify({ ticket })),
  };
}
