import {
  ApiGatewayManagementApiClient,
  DeleteConnectionCommand,
  PostToConnectionCommand,
} from "@aws-sdk/client-apigatewaymanagementapi";
import type { ConnectionsApi } from "./connections-api.ts";

/** The connections of the WebSocket API at an endpoint. */
export function apiGatewayConnections(endpoint: string): ConnectionsApi {
  const api = new ApiGatewayManagementApiClient({ endpoint });
  return {
    async post(connection, text) {
      await api.send(new PostToConnectionCommand({ ConnectionId: connection, Data: text }));
    },
    async disconnect(connection) {
      await api.send(new DeleteConnectionCommand({ ConnectionId: connection }));
    },
  };
}
