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
 * What the API server would hand on to a node is not handed on here: who has asked for it, and been allowed, gets a
 * ticket for this one request, and connects to the node's agent by the WebSocket API. Only those who sign get one: it
 * is good for nobody else. Throws ApiError 501 for who does not sign and for pods on Fargate, 503 without an agent.
 */
export async function ticketFor(
  { peer }: ApiRequest,
  { tunnel }: ApiResponse,
  { connections, relays }: TicketParts,
): Promise<ApiResponse> {
  if (!tunnel) throw badRequest("nothing here can be upgraded");
  const { node, request } = tunnel;
  const principal = peer?.principal?.arn;
  if (principal === undefined) throw notHere(request);
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
