import { type ApiGatewayManagementApiClient, PostToConnectionCommand } from "@aws-sdk/client-apigatewaymanagementapi";
import type { Log } from "#base";

/** Says something to whoever is connected. `lost`: it may not have heard, but is there. */
export type Push = (connection: string, message: object) => Promise<"sent" | "gone" | "lost">;

export const pushBy =
  (api: ApiGatewayManagementApiClient, log: Log): Push =>
  async (connection, message) => {
    try {
      await api.send(new PostToConnectionCommand({ ConnectionId: connection, Data: JSON.stringify(message) }));
      return "sent";
    } catch (error) {
      if (error instanceof Error && error.name === "GoneException") return "gone";
      log.warn("a message could not be pushed", { error });
      return "lost";
    }
  };
