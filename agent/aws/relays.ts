import type { Duplex } from "node:stream";
import type { Clock, Log } from "#base";
import { type Relay, relayStream } from "#relay";

/** Takes a connection on which one request runs, whose path somebody who may has allowed. */
export type Serve = (connection: Duplex, path: string) => void;

/** The agent's ends of relays. Which requests there are is the link's to say: nothing that a client sends names one. */
export interface Relays {
  /** A message of the link's that concerns a relay. */
  hear(said: RelaySaid): void;
  /** Whether some relay goes on. */
  readonly busy: boolean;
  /** Who serves requests; what comes before anybody does is lost, and comes again. */
  serve(serve: Serve): void;
  stop(): void;
}

export interface RelaySaid {
  relay: string;
  frame: unknown;
  /** With a frame that may be the first: what was allowed. */
  path?: string;
}

export interface RelaysOptions {
  clock: Clock;
  log: Log;
  /** Sends a message to the link, or loses it. */
  send(message: object): void;
}

/** Each is a request that somebody waits for. */
const mostAtOnce = 200;
/** A frame that was late for so long finds that its relay has ended; later than that none comes. */
const memory = 10 * 60_000;
const reset = (reason: string): object => ({ a: 0, l: 0, r: reason });

export function agentRelays({ clock, log, send }: RelaysOptions): Relays {
  const open = new Map<string, { take: Relay["take"]; stream: Duplex }>();
  /** What has ended is not begun again by a frame that comes twice. */
  const ended = new Map<string, { take: Relay["take"]; at: number }>();
  let server: Serve | undefined;
  const forget = (): void => {
    for (const [id, { at }] of ended) if (clock.now() - at > memory) ended.delete(id);
  };
  const begin = (id: string, path: string, serve: Serve): Relay["take"] => {
    const { stream, take } = relayStream({
      clock,
      opens: false,
      send: (frame) => send({ action: "relay", relay: id, frame }),
      over(error) {
        open.delete(id);
        forget();
        // What ended badly says no more; nor does it keep what it held.
        ended.set(id, { take: error ? () => {} : take, at: clock.now() });
        log.debug("a relay has ended", { relay: id, reason: error?.message ?? "" });
      },
    });
    stream.on("error", () => {});
    open.set(id, { take, stream });
    log.debug("a relay begins", { relay: id, route: path.split("/")[1] ?? "" });
    serve(stream, path);
    return take;
  };
  return {
    get busy() {
      return open.size > 0;
    },
    serve(serve) {
      server = serve;
    },
    hear({ relay: id, frame, path }) {
      const known = open.get(id) ?? ended.get(id);
      if (known) return known.take(frame);
      if (path !== undefined && server === undefined) return;
      const refuse = (why: string) => send({ action: "relay", relay: id, frame: reset(why) });
      if (isReset(frame)) return;
      if (path === undefined || server === undefined) return refuse("the agent knows nothing of this connection");
      if (open.size >= mostAtOnce) return refuse(`the node serves ${mostAtOnce} connections already`);
      begin(id, path, server)(frame);
    },
    stop() {
      for (const { stream } of open.values()) stream.destroy(new Error("the agent stops"));
    },
  };
}

const isReset = (frame: unknown): boolean => typeof frame === "object" && frame !== null && "r" in frame;
