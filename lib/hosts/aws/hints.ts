import type { Clock, Log } from "#base";
import type { Change } from "#store";
import { type Connection, type Connections, concerns } from "./connections.ts";
import type { Speaker } from "./push.ts";

/** Tells agents that what they watch has moved; they then read it for themselves. Who cannot be told is cut off. */
export type Hints = (type: string, change: Change) => Promise<void>;

const maxAge = 5000;

export function agentHints(
  connections: Connections,
  speaker: Speaker,
  { clock, log }: { clock: Clock; log: Log },
): Hints {
  let known: { at: number; list: Connection[] } | undefined;
  const listed = async (): Promise<Connection[]> => {
    if (!known || clock.now() - known.at > maxAge) known = { at: clock.now(), list: await connections.all() };
    return known.list;
  };
  const tell = async ({ id }: Connection, type: string, revision: number): Promise<void> => {
    await speaker.say(id, JSON.stringify({ type, revision })).catch(async (error: Error) => {
      known = undefined;
      await connections.close(id);
      if (error.name === "GoneException") return;
      // It must not believe that it hears of everything: it connects anew, and then looks.
      log.warn("an agent could not be told and is cut off", { error });
      await speaker.cutOff(id).catch(() => {});
    });
  };
  return async (type, change) => {
    const interested = (await listed()).filter(({ watches }) => watches.some((watch) => concerns(watch, type, change)));
    await Promise.all(interested.map((connection) => tell(connection, type, change.revision)));
  };
}
