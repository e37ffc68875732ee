import { type Http2Session, performServerHandshake, type ServerHttp2Stream } from "node:http2";
import { createWebSocketStream, WebSocket } from "ws";
import { type Clock, type Log, messageOf, sleep, watchdog } from "#base";
import type { LinkedPods } from "./pods.ts";
import { answer } from "./requests.ts";
import { type Upgrades, upgradeServer } from "./upgrades.ts";

export interface LinkOptions extends LinkedPods {
  /** The server's URL, such as `https://127.0.0.1:6443`. */
  server: string;
  /** Its authority, and the node's certificate with its key where that says who dials, in PEM. */
  tls?: { ca: string; cert?: string; key?: string };
  /** What each dial shows besides, such as a token: made anew each time. */
  headers?: () => Promise<Record<string, string>>;
  /** The longest pause between dials, in milliseconds; ten seconds unless told. */
  longestBackoff?: number;
  clock: Clock;
  log: Log;
  /** The node's metrics, as text for Prometheus; none without. */
  metrics?: () => Promise<string>;
}

export interface Link {
  /** Whether the link is up. */
  readonly connected: boolean;
  /** Dials no more, and resolves when the link that is up has ended; what runs over it goes on until then. */
  retire(): Promise<void>;
  stop(): Promise<void>;
}

const firstBackoff = 200;
const usualBackoff = 10_000;
/** A link that held for so long makes the next break a new trouble. */
const settled = 10_000;
/** Who does not answer for so long is not there. */
const handshakeMilliseconds = 10_000;
/** A link over which nothing has come for so long is taken for broken. */
const pingMilliseconds = 15_000;

/** Keeps a link to the server: dials, serves, and dials again when it breaks. */
export function startLink(options: LinkOptions): Link {
  const { clock, log, longestBackoff = usualBackoff } = options;
  const stopping = new AbortController();
  /** No dial follows. */
  const retiring = new AbortController();
  const upgrades = upgradeServer(options);
  let connected = false;
  let backoff = firstBackoff;
  const keep = async (): Promise<void> => {
    while (!retiring.signal.aborted) {
      let up = Number.POSITIVE_INFINITY;
      try {
        await dialOnce(options, upgrades, stopping.signal, () => {
          connected = true;
          up = clock.now();
          log.info("the link to the server is up", { node: options.node, server: options.server });
        });
      } catch (error) {
        log.debug("the link to the server failed", { node: options.node, error: messageOf(error) });
      }
      connected = false;
      if (clock.now() - up >= settled) backoff = firstBackoff;
      await sleep(clock, backoff, retiring.signal);
      backoff = Math.min(backoff * 2, longestBackoff);
    }
    upgrades.close();
  };
  const keeping = keep();
  return {
    get connected() {
      return connected;
    },
    retire() {
      retiring.abort();
      if (!connected) stopping.abort();
      return keeping;
    },
    stop() {
      retiring.abort();
      stopping.abort();
      return keeping;
    },
  };
}

/** One link, until it ends. */
async function dialOnce(options: LinkOptions, upgrades: Upgrades, signal: AbortSignal, up: () => void): Promise<void> {
  const url = `${options.server.replace(/^http/, "ws")}/link/${encodeURIComponent(options.node)}`;
  const headers = await options.headers?.();
  if (signal.aborted) return;
  const socket = new WebSocket(url, {
    ...(options.tls ?? {}),
    ...(headers ? { headers } : {}),
    perMessageDeflate: false,
    handshakeTimeout: handshakeMilliseconds,
  });
  // Before it opens: what arrives on an open socket without a stream is lost.
  const duplex = createWebSocketStream(socket);
  const ended = new Promise<void>((resolve, reject) => {
    duplex.on("error", reject);
    socket.on("error", reject);
    socket.on("close", () => {
      // The session ends with its transport; ended by hand, it would still write to it.
      duplex.destroy();
      resolve();
    });
  });
  ended.catch(() => {});
  let session: Http2Session | undefined;
  const abort = (): void => {
    if (socket.readyState === WebSocket.OPEN) session?.destroy();
    socket.terminate();
  };
  signal.addEventListener("abort", abort, { once: true });
  let quiet = (): void => {};
  try {
    await Promise.race([new Promise((resolve) => socket.once("open", resolve)), ended]);
    if (signal.aborted) return;
    session = performServerHandshake(duplex);
    session.on("stream", (stream: ServerHttp2Stream, headers) => {
      stream.on("error", (error) => options.log.debug("a request over the link failed", { error: messageOf(error) }));
      if (headers[":method"] === "CONNECT") {
        stream.respond({ ":status": 200 });
        upgrades.take(stream, String(headers["x-path"] ?? ""));
      } else void answer(options, stream, String(headers[":path"] ?? "/"));
    });
    session.on("error", (error) => {
      options.log.debug("the link's session failed", { node: options.node, error: messageOf(error) });
      socket.terminate();
    });
    session.on("close", () => socket.terminate());
    up();
    const ping = session;
    quiet = watchdog({
      clock: options.clock,
      every: pingMilliseconds,
      ask: (answered) => {
        if (!ping.destroyed) ping.ping((error) => void (error ?? answered()));
      },
      broken: () => socket.terminate(),
    });
    await ended;
  } finally {
    quiet();
    signal.removeEventListener("abort", abort);
    socket.terminate();
  }
}
