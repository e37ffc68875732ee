import { messageOf } from "#base";
import type { Connections, Push, Relays } from "#hosts/aws";
import { log } from "#hosts/aws";
import { type WireFrame, wireOf } from "#relay";
import type { RelayMessage } from "./events.ts";

export interface RelayParts {
  relays: Relays;
  connections: Connections;
  push: Push;
}

type Answer = { statusCode: number };
const taken: Answer = { statusCode: 200 };

const over = (reason: string): WireFrame => ({ a: 0, l: 0, r: reason });

/**
 * Passes a frame to the other end of its relay. A client's end is its connection; an agent names the client's
 * connection, and must be the agent of the relay's node. An agent learns only from here what to do: each frame that may
 * be its first carries the authorized path. A frame that cannot be passed on is lost, and its sender repeats it.
 */
export async function passOn(parts: RelayParts, id: string, message: RelayMessage): Promise<Answer> {
  let frame: WireFrame;
  try {
    frame = wireOf(message.frame);
  } catch (error) {
    log.warn("a frame was refused", { error: messageOf(error) });
    return { statusCode: 400 };
  }
  try {
    return message.relay === undefined
      ? await toAgent(parts, id, { frame, isOpening: message.open === true })
      : await toClient(parts, id, { frame, relay: message.relay });
  } catch (error) {
    // The sender repeats the frame in any case, so it receives no error.
    log.warn("a frame was lost", { error });
    return taken;
  }
}

interface ClientFrame {
  frame: WireFrame;
  /** The client has not received a frame of the agent yet. */
  isOpening: boolean;
}

async function toAgent(parts: RelayParts, id: string, { frame, isOpening }: ClientFrame): Promise<Answer> {
  const { relays, connections, push } = parts;
  const what = await relays.find(id);
  if (!what) return refuse("the connection is not a client of a relay");
  const path = isOpening && what.path !== undefined ? { path: what.path } : {};
  if ((await push(what.agent, { relay: id, frame, ...path })) !== "gone") return taken;
  const now = await connections.of(what.node);
  // An agent that reconnected knows its relays; a new process has none and resets them.
  if (now === undefined || now === what.agent) return taken;
  await relays.move(id, now);
  await push(now, { relay: id, frame });
  return taken;
}

interface AgentFrame {
  frame: WireFrame;
  /** The client's connection. */
  relay: string;
}

async function toClient(parts: RelayParts, id: string, { frame, relay }: AgentFrame): Promise<Answer> {
  const { relays, connections, push } = parts;
  const node = await connections.nodeOf(id);
  if (node === undefined) return refuse("the connection is not an agent's");
  const what = await relays.find(relay);
  if (what && what.node !== node) return refuse("the relay is another node's");
  if (what && (await push(relay, { frame })) !== "gone") return taken;
  if (what) await relays.end(relay);
  if (frame.r === undefined) await push(id, { relay, frame: over("the client has gone") });
  return taken;
}

function refuse(why: string): Answer {
  log.warn("a frame was refused", { why });
  return { statusCode: 403 };
}

/** Ends a connection's relay, if it was a client's, and notifies the agent. */
export async function endRelay({ relays, push }: RelayParts, id: string): Promise<void> {
  const what = await relays.end(id);
  if (what) await push(what.agent, { relay: id, frame: over("the client has gone") });
}
