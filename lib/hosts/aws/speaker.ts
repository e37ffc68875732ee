import {
  ApiGatewayManagementApiClient,
  DeleteConnectionCommand,
  PostToConnectionCommand,
} from "@aws-sdk/client-apigatewaymanagementapi";
import type { Speaker } from "./push.ts";

/** The WebSocket API's address for those who speak to its connections. */
export function speakerAt(endpoint: string): Speaker {
  const api = new ApiGatewayManagementApiClient({ endpoint });
  return {
    async say(connection, text) {
      await api.send(new PostToConnectionCommand({ ConnectionId: connection, Data: text }));
    },
    async cutOff(connection) {
      await api.send(new DeleteConnectionCommand({ ConnectionId: connection }));
    },
  };
}
