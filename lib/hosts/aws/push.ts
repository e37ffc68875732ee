import type { Log } from "#base";
import { lazily } from "./lazy.ts";

/** Connections of the WebSocket API. Rejects with GoneException for one that is closed. */
export interface Speaker {
  say(connection: string, text: string): Promise<void>;
  cutOff(connection: string): Promise<void>;
}

/** Says something to whoever is connected. `lost`: it may not have heard, but is there. */
export type Push = (connection: string, message: object) => Promise<"sent" | "gone" | "lost">;

export const pushBy =
  (speaker: Speaker, log: Log): Push =>
  async (connection, message) => {
    try {
      await speaker.say(connection, JSON.stringify(message));
      return "sent";
    } catch (error) {
      if (error instanceof Error && error.name === "GoneException") return "gone";
      log.warn("a message could not be pushed", { error });
      return "lost";
    }
  };

/** The connections of the WebSocket API at an endpoint; its client is loaded with the first message. */
export const speakerTo = (endpoint: string): Speaker =>
  lazily(async () => (await import("./speaker.ts")).speakerAt(endpoint));
