import { type RawData, WebSocket } from "ws";
import type { Signer } from "#aws/request-signer";
import { type Clock, type Log, messageOf, type Random, sleep, type Timer } from "#base";
import { type Hints, hintBoard } from "./hints.ts";
import { agentRelays, type RelaySaid, type Relays } from "./relays.ts";

export interface AwsLinkOptions {
  /** `wss://…`: the WebSocket API's stage. */
  url: string;
  sign: Signer;
  /** The authority of its certificate, in PEM, where the machine does not trust it. */
  ca?: string;
  clock: Clock;
  random: Random;
  log: Log;
}

/** The agent's connection to the WebSocket API: heartbeats go out, hints come in, and frames of relays both ways. */
export interface AwsLink extends Hints {
  /** Requests that run between clients and this node. They outlive a connection that breaks. */
  readonly relays: Relays;
  /** Whether the cluster hears by this link that the node lives; a break shorter than a heartbeat does not count. */
  alive(): boolean;
  stop(): Promise<void>;
}

const heartbeatMilliseconds = 40_000;
/** API Gateway ends a connection after two hours; each agent goes before, at a time of its own. */
const longestLife = 2 * 60 * 60_000;
const firstBackoff = 1000;
const longestBackoff = 60_000;
/** A connection that held for so long makes the next break a new trouble. */
const settled = 60_000;
const handshakeMilliseconds = 10_000;
/** Watches that are made together are told together. */
const collecting = 200;
/** What is watched is told at most so often: messages that follow each other closely may be heard in any order. */
const tellingPause = 2000;
/** Messages that were not taken are no end while frames go out, which may be too many at once: so many a heartbeat are. */
const mostRefused = 50;
/** Those who give hints may know an older list of watches for five seconds. */
const hintsSettle = 7000;

/** Keeps the connection until it is stopped. */
export function startAwsLink(options: AwsLinkOptions): AwsLink {
  const { clock, random, log } = options;
  const stopping = new AbortController();
  let open: WebSocket | undefined;
  let lastUp = clock.now();
  const board = hintBoard(clock, () => tell());

  let told = "";
  let telling: Timer | undefined;
  let settling: Timer | undefined;
  /** Says what is watched now where it differs, and looks once more when that is known everywhere. */
  const say = (): void => {
    telling = undefined;
    const watches = JSON.stringify(board.watches());
    if (!open || watches === told) return;
    told = watches;
    open.send(`{"action":"watch","watches":${watches}}`);
    telling = clock.timer(tellingPause, say);
    settling?.cancel();
    settling = clock.timer(hintsSettle, () => board.look());
  };
  const tell = (): void => {
    telling ??= clock.timer(collecting, say);
  };
  const relays = agentRelays({ clock, log, send: (message) => open?.send(JSON.stringify(message)) });
  const up = (socket: WebSocket): void => {
    open = socket;
    log.info("the link to the cluster is up");
    board.look();
    telling?.cancel();
    told = "";
    say();
  };
  /** Something was not taken, and nobody says what. */
  const again = (): void => {
    told = "";
    tell();
  };
  const down = (): void => {
    if (!open) return;
    open = undefined;
    lastUp = clock.now();
    // From now on nobody gives hints.
    board.look();
  };

  const keep = async (): Promise<void> => {
    let backoff = firstBackoff;
    while (!stopping.signal.aborted) {
      const started = clock.now();
      try {
        await hold(options, stopping.signal, { up, again, heard: board.hear, relays });
      } catch (error) {
        log.warn("the link to the cluster failed", { error: messageOf(error) });
      }
      down();
      if (clock.now() - started > settled) backoff = firstBackoff;
      await sleep(clock, backoff * (0.5 + random.fraction()), stopping.signal);
      backoff = Math.min(backoff * 2, longestBackoff);
    }
  };
  const keeping = keep();
  return {
    follow: board.follow,
    relays,
    get connected() {
      return open !== undefined;
    },
    alive: () => open !== undefined || clock.now() - lastUp < heartbeatMilliseconds,
    async stop() {
      relays.stop();
      stopping.abort();
      telling?.cancel();
      settling?.cancel();
      await keeping;
    },
  };
}

interface Held {
  up(socket: WebSocket): void;
  /** Says anew what may not have been heard. */
  again(): void;
  heard(type: string, revision: number): void;
  relays: Relays;
}

/** One connection from its beginning to its end. Rejects when it could not be made or broke. */
async function hold(options: AwsLinkOptions, signal: AbortSignal, held: Held): Promise<void> {
  const { clock, random, log } = options;
  const headers = await options.sign({ method: "GET", url: new URL(options.url), body: "" });
  if (signal.aborted) return;
  const socket = new WebSocket(options.url, {
    headers,
    perMessageDeflate: false,
    handshakeTimeout: handshakeMilliseconds,
    ...(options.ca === undefined ? {} : { ca: options.ca }),
  });
  const timers = new Map<string, Timer>();
  const after = (name: string, milliseconds: number, run: () => void) =>
    timers.set(name, clock.timer(milliseconds, run));
  /** Closes in order; who does not answer is left. */
  const close = (): void => {
    socket.close(1000);
    after("closing", 1000, () => socket.terminate());
  };
  signal.addEventListener("abort", close, { once: true });
  try {
    await new Promise<void>((resolve, reject) => {
      let refused = 0;
      let pings: "none" | "answered" | "open" = "none";
      const beat = (): void => {
        // Whether pings are answered is API Gateway's affair; where they were once, silence means that it has gone.
        if (pings === "open") {
          socket.terminate();
          return;
        }
        socket.send('{"action":"heartbeat"}');
        refused = 0;
        if (pings === "answered") pings = "open";
        socket.ping();
        after("heartbeat", heartbeatMilliseconds, beat);
      };
      socket.on("open", () => {
        held.up(socket);
        socket.ping();
        after("heartbeat", heartbeatMilliseconds, beat);
        after("life", longestLife * (0.8 + 0.15 * random.fraction()), close);
      });
      socket.on("pong", () => {
        pings = "answered";
      });
      socket.on("message", (data) => {
        const said = read(data);
        if (said?.type !== undefined && said.revision !== undefined) return held.heard(said.type, said.revision);
        if (said?.relay !== undefined) return held.relays.hear(said as RelaySaid);
        if (held.relays.busy && ++refused < mostRefused) return held.again();
        // What we sent was not heard: API Gateway says so and nothing more.
        log.warn("the cluster did not take a message", { message: said?.message?.slice(0, 200) ?? "" });
        close();
      });
      socket.on("error", reject);
      socket.on("close", (code) => (code === 1006 ? reject(new Error("the connection was cut")) : resolve()));
    });
  } finally {
    for (const timer of timers.values()) timer.cancel();
    signal.removeEventListener("abort", close);
    socket.on("error", () => {});
    socket.terminate();
  }
}

interface Said {
  type?: string;
  revision?: number;
  relay?: string;
  message?: string;
}

function read(data: RawData): Said | undefined {
  try {
    const said: unknown = JSON.parse(String(data));
    return typeof said === "object" && said !== null ? (said as Said) : undefined;
  } catch {
    return undefined;
  }
}
