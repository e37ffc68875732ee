import { type RawData, WebSocket } from "ws";
import type { Signer } from "#aws/request-signer";
import { type Clock, type Log, messageOf, type Random, sleep, type Timer } from "#base";
import { HintBoard, type Hints, type Subscription, type Watch } from "./hints.ts";
import { AgentRelays, type RelayMessage } from "./relays.ts";
import { WatchReport } from "./watch-report.ts";

export interface AwsLinkOptions {
  /** `wss://…`: the WebSocket API's stage. */
  url: string;
  sign: Signer;
  /** The CA of its certificate, in PEM. Absent: the CAs that the machine trusts. */
  ca?: string | undefined;
  clock: Clock;
  random: Random;
  log: Log;
}

const heartbeatMilliseconds = 40_000;
/** API Gateway ends a connection after two hours; each agent closes it before, at a random time. */
const maxAgeMilliseconds = 2 * 60 * 60_000;
const firstBackoffMilliseconds = 1000;
const longestBackoffMilliseconds = 60_000;
/** After a connection that lasted so long, the backoff starts again. */
const stableMilliseconds = 60_000;
const handshakeMilliseconds = 10_000;
/**
 * While relays are busy, frames may exceed API Gateway's rate and be refused: up to so many refusals between two
 * heartbeats do not end the connection.
 */
const maxRefusals = 50;

/**
 * The agent's connection to the WebSocket API: it sends heartbeats, receives hints, and carries frames of relays both
 * ways. It reconnects until `stop`.
 */
export class AwsLink implements Hints {
  /** Requests that run between clients and this node. They outlive a connection that breaks. */
  readonly relays: AgentRelays;
  readonly #options: AwsLinkOptions;
  readonly #stopping = new AbortController();
  readonly #board: HintBoard;
  readonly #report: WatchReport;
  readonly #running: Promise<void>;
  #socket: WebSocket | undefined;
  /** When the connection was open last. */
  #lastUp: number;

  constructor(options: AwsLinkOptions) {
    const { clock, log } = options;
    this.#options = options;
    this.#lastUp = clock.now();
    this.#board = new HintBoard(clock, () => this.#report.changed());
    this.#report = new WatchReport({
      clock,
      watches: () => this.#board.watches(),
      send: (watches) => this.#send(`{"action":"watch","watches":${watches}}`),
      settled: () => this.#board.wakeAll(),
    });
    this.relays = new AgentRelays({ clock, log, send: (message) => this.#send(JSON.stringify(message)) });
    this.#running = this.#run();
  }

  get connected(): boolean {
    return this.#socket !== undefined;
  }

  /** Whether the cluster knows by this link that the node is alive. A break shorter than a heartbeat does not count. */
  alive(): boolean {
    return this.connected || this.#options.clock.now() - this.#lastUp < heartbeatMilliseconds;
  }

  follow(watch: Watch): Subscription {
    return this.#board.follow(watch);
  }

  async stop(): Promise<void> {
    this.relays.stop();
    this.#stopping.abort();
    this.#report.stop();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, random, log } = this.#options;
    const { signal } = this.#stopping;
    const listener: Listener = {
      opened: (socket) => this.#opened(socket),
      refused: () => this.#report.repeat(),
      hinted: (type, revision) => this.#board.hint(type, revision),
      relays: this.relays,
    };
    let backoff = firstBackoffMilliseconds;
    while (!signal.aborted) {
      const started = clock.now();
      try {
        await connect(this.#options, listener, signal);
      } catch (error) {
        log.warn("the link to the cluster failed", { error: messageOf(error) });
      }
      this.#closed();
      if (clock.now() - started > stableMilliseconds) backoff = firstBackoffMilliseconds;
      await sleep(clock, backoff * (0.5 + random.fraction()), signal);
      backoff = Math.min(backoff * 2, longestBackoffMilliseconds);
    }
  }

  #opened(socket: WebSocket): void {
    this.#socket = socket;
    this.#options.log.info("the link to the cluster is up");
    this.#board.wakeAll();
    this.#report.restart();
  }

  #closed(): void {
    if (!this.#socket) return;
    this.#socket = undefined;
    this.#lastUp = this.#options.clock.now();
    // No hints arrive from now on.
    this.#board.wakeAll();
  }

  #send(message: string): boolean {
    this.#socket?.send(message);
    return this.#socket !== undefined;
  }
}

interface Listener {
  opened(socket: WebSocket): void;
  /** A message was refused; which one is not known. */
  refused(): void;
  hinted(type: string, revision: number): void;
  relays: AgentRelays;
}

/** Opens one connection. Resolves when it ends in order, rejects when it cannot be opened or breaks. */
async function connect(options: AwsLinkOptions, listener: Listener, signal: AbortSignal): Promise<void> {
  const headers = await options.sign({ method: "GET", url: new URL(options.url), body: "" });
  if (signal.aborted) return;
  const socket = new WebSocket(options.url, {
    headers,
    perMessageDeflate: false,
    handshakeTimeout: handshakeMilliseconds,
    ...(options.ca === undefined ? {} : { ca: options.ca }),
  });
  await new Connection(socket, options, listener).run(signal);
}

/** One connection from its handshake to its end. */
class Connection {
  readonly #socket: WebSocket;
  readonly #options: AwsLinkOptions;
  readonly #listener: Listener;
  readonly #timers = new Map<string, Timer>();
  /** Messages that were refused since the last heartbeat. */
  #refusals = 0;
  #pings: "none" | "answered" | "open" = "none";

  constructor(socket: WebSocket, options: AwsLinkOptions, listener: Listener) {
    this.#socket = socket;
    this.#options = options;
    this.#listener = listener;
  }

  /** Resolves when the connection has ended in order, rejects when it breaks. Closes it when the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const socket = this.#socket;
    const close = (): void => this.#close();
    signal.addEventListener("abort", close, { once: true });
    try {
      await new Promise<void>((resolve, reject) => {
        socket.on("open", () => this.#opened());
        socket.on("pong", () => {
          this.#pings = "answered";
        });
        socket.on("message", (data) => this.#receive(data));
        socket.on("error", reject);
        socket.on("close", (code) => (code === 1006 ? reject(new Error("the connection was cut")) : resolve()));
      });
    } finally {
      for (const timer of this.#timers.values()) timer.cancel();
      signal.removeEventListener("abort", close);
      socket.on("error", () => {});
      socket.terminate();
    }
  }

  #opened(): void {
    this.#listener.opened(this.#socket);
    this.#socket.ping();
    this.#after("heartbeat", heartbeatMilliseconds, () => this.#beat());
    const age = maxAgeMilliseconds * (0.8 + 0.15 * this.#options.random.fraction());
    this.#after("age", age, () => this.#close());
  }

  #beat(): void {
    // API Gateway decides whether pings are answered; once one was, a missing answer means a broken connection.
    if (this.#pings === "open") {
      this.#socket.terminate();
      return;
    }
    this.#socket.send('{"action":"heartbeat"}');
    this.#refusals = 0;
    if (this.#pings === "answered") this.#pings = "open";
    this.#socket.ping();
    this.#after("heartbeat", heartbeatMilliseconds, () => this.#beat());
  }

  #receive(data: RawData): void {
    const message = parse(data);
    const { relays, hinted, refused } = this.#listener;
    if (message?.type !== undefined && message.revision !== undefined) hinted(message.type, message.revision);
    else if (message?.relay !== undefined) relays.receive(message as RelayMessage);
    else if (relays.busy && ++this.#refusals < maxRefusals) refused();
    else {
      // API Gateway refused one of our messages; it does not report which one.
      this.#options.log.warn("the cluster refused a message", { message: message?.message?.slice(0, 200) ?? "" });
      this.#close();
    }
  }

  /** Closes in order; the connection is cut when the other side does not answer. */
  #close(): void {
    this.#socket.close(1000);
    this.#after("closing", 1000, () => this.#socket.terminate());
  }

  #after(name: string, milliseconds: number, run: () => void): void {
    this.#timers.set(name, this.#options.clock.timer(milliseconds, run));
  }
}

interface LinkMessage {
  type?: string;
  revision?: number;
  relay?: string;
  message?: string;
}

function parse(data: RawData): LinkMessage | undefined {
  try {
    const message: unknown = JSON.parse(String(data));
    return typeof message === "object" && message !== null ? (message as LinkMessage) : undefined;
  } catch {
    return undefined;
  }
}
