import type { Log } from "#base";
import { lazily } from "./lazy.ts";

/** The open connections of the WebSocket API. Both methods reject with GoneException for one that is closed. */
export interface ConnectionsApi {
  post(connection: string, text: string): Promise<void>;
  disconnect(connection: string): Promise<void>;
}

/** Sends a message on a connection. `lost`: it may not have arrived, but the connection is open. */
export type Push = (connection: string, message: object) => Promise<"sent" | "gone" | "lost">;

export const pushBy =
  (api: ConnectionsApi, log: Log): Push =>
  async (connection, message) => {
    try {
      await api.post(connection, JSON.stringify(message));
      return "sent";
    } catch (error) {
      if (error instanceof Error && error.name === "GoneException") return "gone";
      log.warn("a message could not be pushed", { error });
      return "lost";
    }
  };

/** The connections of the WebSocket API at an endpoint. The client is loaded at the first call. */
export const connectionsApi = (endpoint: string): ConnectionsApi =>
  lazily(async () => (await import("./api-gateway-connections.ts")).apiGatewayConnections(endpoint));
