import type { Clock, Log } from "#base";
import type { Change } from "#store";
import { type Connection, type Connections, concerns } from "./connections.ts";
import type { ConnectionsApi } from "./connections-api.ts";

/** Notifies the agents whose watches select a change; they then read the objects. */
export type Hints = (type: string, change: Change) => Promise<void>;

/** Milliseconds for which the list of connections is cached. */
const maxAge = 5000;

interface HintOptions {
  connections: Connections;
  api: ConnectionsApi;
  clock: Clock;
  log: Log;
}

/** An agent that cannot be notified is disconnected: it connects again and lists what it watches. */
export function agentHints({ connections, api, clock, log }: HintOptions): Hints {
  let known: { at: number; list: Connection[] } | undefined;
  const listed = async (): Promise<Connection[]> => {
    if (!known || clock.now() - known.at > maxAge) known = { at: clock.now(), list: await connections.all() };
    return known.list;
  };
  const notify = async ({ id }: Connection, hint: { type: string; revision: number }): Promise<void> => {
    await api.post(id, JSON.stringify(hint)).catch(async (error: Error) => {
      known = undefined;
      await connections.close(id);
      if (error.name === "GoneException") return;
      // An agent with an open connection relies on being notified of every change.
      log.warn("an agent could not be notified and is disconnected", { error });
      await api.disconnect(id).catch(() => {});
    });
  };
  return async (type, change) => {
    const interested = (await listed()).filter(({ watches }) => watches.some((watch) => concerns(watch, type, change)));
    const hint = { type, revision: change.revision };
    await Promise.all(interested.map((connection) => notify(connection, hint)));
  };
}
