import { type Http2Session, performServerHandshake, type ServerHttp2Stream } from "node:http2";
import { createWebSocketStream, WebSocket } from "ws";
import type { NodeStats } from "#agent/stats";
import { type Clock, type Log, messageOf, sleep, watchdog } from "#base";
import { decodeNodeRequest, linkSessionMemory } from "#node-link";
import { dialPod } from "./dial-pod.ts";
import type { LinkedPods } from "./pods.ts";
import { answer } from "./requests.ts";
import { type Upgrades, upgradeServer } from "./upgrades.ts";

export interface LinkOptions extends LinkedPods {
  /** The server's URL, such as `https://127.0.0.1:6443`. */
  server: string;
  /** Its CA, and the node's certificate with its key where that authenticates the node, in PEM. */
  tls?: { ca: string; cert?: string; key?: string } | undefined;
  /** The headers of a dial, such as a token: called for each dial. */
  headers?: (() => Promise<Record<string, string>>) | undefined;
  /** The longest pause between dials. Defaults to ten seconds. */
  longestBackoffMilliseconds?: number | undefined;
  /** The folder that the node's /logs/ serves. Defaults to /var/log. */
  logFolder?: string | undefined;
  clock: Clock;
  log: Log;
  /** What the node and its pods use; absent: not served. */
  stats?: Pick<NodeStats, "cadvisor" | "resource" | "summary" | "usage"> | undefined;
  /** The node's metrics, as text for Prometheus; absent: none. */
  metrics?: (() => Promise<string>) | undefined;
}

const firstBackoffMilliseconds = 200;
const defaultBackoffMilliseconds = 10_000;
/** After a link that was up for so long, the backoff starts again. */
const stableMilliseconds = 10_000;
const handshakeMilliseconds = 10_000;
/** A ping is sent this often; a link without an answer is broken. */
const pingMilliseconds = 15_000;

/** Dials the server and serves its requests; dials again when the link breaks, until `retire` or `stop`. */
export class Link {
  readonly #options: LinkOptions;
  /** Ends the link that is up. */
  readonly #stopping = new AbortController();
  /** Aborts when no further dial is wanted. */
  readonly #retiring = new AbortController();
  readonly #upgrades: Upgrades;
  readonly #running: Promise<void>;
  #connected = false;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#upgrades = upgradeServer(options);
    this.#running = this.#run();
  }

  /** Whether the link is up. */
  get connected(): boolean {
    return this.#connected;
  }

  /** Stops dialling and resolves when the link that is up has ended; requests over it continue until then. */
  retire(): Promise<void> {
    this.#retiring.abort();
    if (!this.#connected) this.#stopping.abort();
    return this.#running;
  }

  stop(): Promise<void> {
    this.#retiring.abort();
    this.#stopping.abort();
    return this.#running;
  }

  async #run(): Promise<void> {
    const { node, server, clock, log, longestBackoffMilliseconds = defaultBackoffMilliseconds } = this.#options;
    const { signal } = this.#retiring;
    let backoff = firstBackoffMilliseconds;
    while (!signal.aborted) {
      let upSince = Number.POSITIVE_INFINITY;
      const up = (): void => {
        this.#connected = true;
        upSince = clock.now();
        log.info("the link to the server is up", { node, server });
      };
      try {
        await dialOnce(this.#options, { upgrades: this.#upgrades, signal: this.#stopping.signal, up });
      } catch (error) {
        log.debug("the link to the server failed", { node, error: messageOf(error) });
      }
      this.#connected = false;
      if (clock.now() - upSince >= stableMilliseconds) backoff = firstBackoffMilliseconds;
      await sleep(clock, backoff, signal);
      backoff = Math.min(backoff * 2, longestBackoffMilliseconds);
    }
    this.#upgrades.close();
  }
}

interface Dial {
  upgrades: Upgrades;
  /** Ends the link. */
  signal: AbortSignal;
  /** Called when the link is up. */
  up(): void;
}

/** Dials once. Resolves when the link has ended in order, rejects when it breaks or cannot be established. */
async function dialOnce(options: LinkOptions, { upgrades, signal, up }: Dial): Promise<void> {
  const url = `${options.server.replace(/^http/, "ws")}/link/${encodeURIComponent(options.node)}`;
  const headers = await options.headers?.();
  if (signal.aborted) return;
  const socket = new WebSocket(url, {
    ...(options.tls ?? {}),
    ...(headers ? { headers } : {}),
    perMessageDeflate: false,
    handshakeTimeout: handshakeMilliseconds,
  });
  // Created before the socket opens: data that arrives on an open socket without a stream is lost.
  const duplex = createWebSocketStream(socket);
  const ended = new Promise<void>((resolve, reject) => {
    duplex.on("error", reject);
    socket.on("error", reject);
    socket.on("close", () => {
      // The session ends with its transport; a session that is closed by a call would still write to it.
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
  let stopPings = (): void => {};
  try {
    await Promise.race([new Promise((resolve) => socket.once("open", resolve)), ended]);
    if (signal.aborted) return;
    session = performServerHandshake(duplex, { maxSessionMemory: linkSessionMemory });
    session.on("stream", (stream: ServerHttp2Stream, headers) => {
      stream.on("error", (error) => options.log.debug("a request over the link failed", { error: messageOf(error) }));
      // The server has cancelled it. It would otherwise stay open while a write waits for the server's window.
      stream.on("aborted", () => stream.destroy());
      if (headers[":method"] === "CONNECT") {
        const path = String(headers["x-path"] ?? "");
        const request = decodeNodeRequest(path);
        if (request?.type === "dial") return void dialPod(options, stream, request);
        stream.respond({ ":status": 200 });
        upgrades.take(stream, path === "" ? undefined : path);
      } else void answer(options, stream, String(headers[":path"] ?? "/"));
    });
    session.on("error", (error) => {
      options.log.debug("the link's session failed", { node: options.node, error: messageOf(error) });
      socket.terminate();
    });
    session.on("close", () => socket.terminate());
    up();
    const ping = session;
    stopPings = watchdog({
      clock: options.clock,
      every: pingMilliseconds,
      ask: (answered) => {
        if (!ping.destroyed) ping.ping((error) => void (error ?? answered()));
      },
      broken: () => socket.terminate(),
    });
    await ended;
  } finally {
    stopPings();
    signal.removeEventListener("abort", abort);
    socket.terminate();
  }
}
