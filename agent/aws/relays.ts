import type { Duplex } from "node:stream";
import type { Clock, Log } from "#base";
import { type Relay, relayStream } from "#relay";

/** Serves one request over the connection. The API server has authorized the path. */
export type Serve = (connection: Duplex, path: string) => void;

/** A message of the link that belongs to a relay. */
export interface RelayMessage {
  relay: string;
  frame: unknown;
  /** With a frame that may be the first: the authorized path. */
  path?: string;
}

export interface RelaysOptions {
  clock: Clock;
  log: Log;
  /** Sends a message over the link, or loses it. */
  send(message: object): void;
}

/** Each relay is a request that a client waits for. */
const maxRelays = 200;
/** No frame arrives later than this after its relay has ended. */
const endedMemoryMilliseconds = 10 * 60_000;
const reset = (reason: string): object => ({ a: 0, l: 0, r: reason });

/** The agent's ends of relays. Only the link opens relays and names their paths; clients cannot. */
export class AgentRelays {
  readonly #options: RelaysOptions;
  readonly #open = new Map<string, { take: Relay["take"]; stream: Duplex }>();
  /** Relays that have ended, so that a frame that arrives twice does not open them again. */
  readonly #ended = new Map<string, { take: Relay["take"]; at: number }>();
  #serve: Serve | undefined;

  constructor(options: RelaysOptions) {
    this.#options = options;
  }

  /** Whether a relay is open. */
  get busy(): boolean {
    return this.#open.size > 0;
  }

  /** Sets the server of requests. Frames that arrive before are lost; their senders repeat them. */
  serve(serve: Serve): void {
    this.#serve = serve;
  }

  receive({ relay: id, frame, path }: RelayMessage): void {
    const known = this.#open.get(id) ?? this.#ended.get(id);
    if (known) known.take(frame);
    else if (isReset(frame)) return;
    else if (path === undefined) this.#refuse(id, "the agent knows nothing of this connection");
    else if (!this.#serve) return;
    else if (this.#open.size >= maxRelays) this.#refuse(id, `the node serves ${maxRelays} connections already`);
    else this.#begin(id, path, this.#serve)(frame);
  }

  stop(): void {
    for (const { stream } of this.#open.values()) stream.destroy(new Error("the agent stops"));
  }

  #refuse(id: string, reason: string): void {
    this.#options.send({ action: "relay", relay: id, frame: reset(reason) });
  }

  #begin(id: string, path: string, serve: Serve): Relay["take"] {
    const { clock, log, send } = this.#options;
    const { stream, take } = relayStream({
      clock,
      opens: false,
      send: (frame) => send({ action: "relay", relay: id, frame }),
      over: (error) => {
        this.#open.delete(id);
        this.#forgetOld();
        // A relay that failed sends nothing more, and its buffers are released.
        this.#ended.set(id, { take: error ? () => {} : take, at: clock.now() });
        log.debug("a relay has ended", { relay: id, reason: error?.message ?? "" });
      },
    });
    stream.on("error", () => {});
    this.#open.set(id, { take, stream });
    log.debug("a relay begins", { relay: id, route: path.split("/")[1] ?? "" });
    serve(stream, path);
    return take;
  }

  #forgetOld(): void {
    const now = this.#options.clock.now();
    for (const [id, { at }] of this.#ended) if (now - at > endedMemoryMilliseconds) this.#ended.delete(id);
  }
}

const isReset = (frame: unknown): boolean => typeof frame === "object" && frame !== null && "r" in frame;
