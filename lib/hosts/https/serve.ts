import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { WebSocketServer } from "ws";
import type { ApiRequest, ApiResponse, ApiServer } from "#apiserver";
import { isApiError, type Log, messageOf } from "#base";
import { compressed } from "./compress.ts";
import { Departures } from "./departure.ts";
import {
  bodyChunks,
  drained,
  dropRest,
  endBody,
  hasBody,
  headerBytes,
  readBody,
  requestOf,
  type SentRequest,
  writeBody,
  writeWhole,
} from "./exchange.ts";
import { Http2Connections } from "./http2.ts";
import type { Links } from "./links.ts";
import { proxyUpgrade } from "./proxy/index.ts";
import { joinTunnel, refuse, statusResponse } from "./tunnel.ts";
import { refuseUnreadable } from "./unreadable.ts";
import { AnswerSockets, isWebSocket, takeBearerProtocol } from "./websocket.ts";

export interface HostOptions {
  server: Pick<ApiServer, "handle">;
  links: Links;
  log: Log;
  bind: string;
  /** 0: any free port. */
  port: number;
  /**
   * The server's certificate, and the CA of clients' certificates, in PEM. Without a CA, the server requests no client
   * certificate.
   */
  tls: { cert: string; key: string; ca?: string | undefined };
}

export interface Host {
  port: number;
  /** Presents this certificate on connections from now on. */
  renew(tls: { cert: string; key: string }): void;
  /** Accepts no new connections, ends the watches, and resolves when all connections are closed. */
  close(): Promise<void>;
}

/** Bytes of a request's line and headers, such as long selectors; net/http's default (`DefaultMaxHeaderBytes`). */
const maxHeaderSize = 1024 * 1024;

/** Milliseconds for which a client that does not read may hold the rest of a response. */
const answerTimeout = 10_000;

/** Milliseconds after close() when connections that are still open are cut. */
const closeGrace = 2000;

/** Serves an API server over HTTPS. Rejects when the port is not available. */
export async function serve(options: HostOptions): Promise<Host> {
  const host = new HttpsHost(options);
  await host.listen();
  return host;
}

class HttpsHost implements Host {
  readonly #options: HostOptions;
  readonly #server: Server;
  readonly #departures = new Departures();
  readonly #sockets = new Set<Socket>();
  readonly #http2: Http2Connections;
  /** Sends responses as WebSocket messages. */
  readonly #answers = new AnswerSockets();
  /** Accepts the links of agents. */
  readonly #agents = new WebSocketServer({ noServer: true, maxPayload: 64 * 1024 * 1024, perMessageDeflate: false });
  readonly #lastAnswers = new WeakMap<Duplex, ServerResponse>();

  constructor(options: HostOptions) {
    const { tls, log } = options;
    this.#options = options;
    this.#server = createServer({
      ...tls,
      requestCert: tls.ca !== undefined,
      rejectUnauthorized: false,
      ALPNProtocols: ["h2", "http/1.1"],
      maxHeaderSize,
      keepAliveTimeout: 90_000,
      // Detects clients that vanished, and keeps quiet watches open on their way.
      keepAlive: true,
      keepAliveInitialDelay: 60_000,
    });
    this.#http2 = new Http2Connections({ answer: this.#respond, log, departures: this.#departures });
    divide(this.#server, this.#http2);
    this.#server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
    this.#server.on("request", this.#answer);
    this.#server.on("checkContinue", this.#answer);
    this.#server.on("upgrade", this.#accept);
    this.#server.on("clientError", (error, socket) => {
      // A response that is still being written would be mixed with this one.
      if (this.#lastAnswers.get(socket)?.writableFinished ?? true) refuseUnreadable(error, socket);
      else socket.destroy();
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async listen(): Promise<void> {
    this.#server.listen(this.#options.port, this.#options.bind);
    await Promise.race([
      once(this.#server, "listening"),
      once(this.#server, "error").then(([error]) => {
        throw error;
      }),
    ]);
  }

  renew({ cert, key }: { cert: string; key: string }): void {
    this.#server.setSecureContext({ ...this.#options.tls, cert, key });
  }

  async close(): Promise<void> {
    this.#departures.stop();
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeIdleConnections();
    this.#http2.close();
    const cut = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, closeGrace);
    this.#options.links.close();
    await closed;
    clearTimeout(cut);
  }

  #respond = async (request: ApiRequest): Promise<ApiResponse> =>
    compressed(request, await this.#options.server.handle(request));

  #answer = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    this.#lastAnswers.set(incoming.socket, outgoing);
    const answered = answer(incoming, outgoing, { respond: this.#respond, departures: this.#departures });
    void answered.catch((error: unknown) => {
      this.#options.log.debug("a response could not be sent", { path: incoming.url, error: messageOf(error) });
      outgoing.destroy();
    });
  };

  #accept = (incoming: IncomingMessage, socket: Duplex, head: Buffer): void => {
    socket.on("error", () => socket.destroy());
    void this.#upgrade(incoming, socket, head).catch((error: unknown) => {
      this.#options.log.debug("an upgrade failed", { path: incoming.url, error: messageOf(error) });
      if (isApiError(error)) refuse(socket, statusResponse(error));
      else socket.destroy();
    });
  };

  async #upgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const departure = this.#departures.open();
    socket.once("close", () => {
      departure.leave();
      this.#departures.close(departure);
    });
    const { server, links, log } = this.#options;
    const isSocket = isWebSocket(incoming);
    if (isSocket) takeBearerProtocol(incoming);
    const request = requestOf(sentRequest(incoming), departure);
    const response = await server.handle(request);
    if (response.link !== undefined) {
      const node = response.link;
      this.#agents.handleUpgrade(incoming, socket, head, (webSocket) => {
        links.add(node, webSocket);
        log.debug("an agent has connected", { node });
      });
      return;
    }
    if (response.tunnel) return join(response.tunnel, { links, request, incoming, socket, head });
    if (isSocket && response.messages !== undefined && response.status === 200) {
      // Upstream serves watches, but not logs, by x/net/websocket's handler, which requires an Origin.
      if (response.messages === "events" && incoming.headers.origin === undefined) {
        await endBody(response);
        return refuse(socket, { status: 403, headers: {}, body: new Uint8Array() });
      }
      return this.#answers.send(incoming, { socket, head, response });
    }
    await endBody(response);
    refuse(socket, response);
  }
}

/** Serves a connection by HTTP/2 when its client chose that. Upgrades (exec and others) use HTTP/1.1 only. */
function divide(host: Server, http2: Http2Connections): void {
  const [http1] = host.listeners("secureConnection");
  host.removeAllListeners("secureConnection");
  host.on("secureConnection", (socket: TLSSocket) => {
    if (socket.alpnProtocol === "h2") http2.accept(socket);
    else http1!.call(host, socket);
  });
}

const sentRequest = (incoming: IncomingMessage, proceed = () => {}): SentRequest => ({
  method: incoming.method ?? "GET",
  url: incoming.url ?? "/",
  headers: incoming.headers,
  valuesOf: (name) => incoming.headersDistinct[name] ?? [],
  socket: incoming.socket as TLSSocket,
  body: () => readBody(incoming, incoming.headers, proceed),
  chunks: hasBody(incoming.headers) ? () => bodyChunks(incoming, incoming.headers, proceed) : undefined,
});

interface Joining {
  links: Links;
  request: ApiRequest;
  incoming: IncomingMessage;
  socket: Duplex;
  head: Buffer;
}

/** Joins a client's connection to its node's agent, or to the server in a pod that the agent dials. */
async function join(
  { node, request: asked, proxied }: NonNullable<ApiResponse["tunnel"]>,
  { links, request, incoming, socket, head }: Joining,
): Promise<void> {
  if (!proxied || asked.type !== "dial") return joinTunnel({ links, node, request: asked, incoming, socket, head });
  return proxyUpgrade({ dial: links.dial, target: { node, request: asked, proxied }, request, socket, head });
}

interface Answering {
  respond: (request: ApiRequest) => Promise<ApiResponse>;
  departures: Departures;
}

async function answer(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { respond, departures }: Answering,
): Promise<void> {
  const departure = departures.open();
  outgoing.once("close", departure.leave);
  try {
    const sent = sentRequest(incoming, () => outgoing.writeContinue());
    const response = await respond(requestOf(sent, departure));
    if (outgoing.destroyed) return void endBody(response);
    if (!incoming.complete && !isShort(incoming)) return await sendEarly(response, incoming, outgoing);
    await send(response, outgoing, incoming.method === "HEAD");
  } finally {
    outgoing.off("close", departure.leave);
    departures.close(departure);
  }
}

/**
 * The rest of a body up to this size is read after the response, to keep the connection: `maxPostHandlerReadBytes` in
 * net/http.
 */
const shortBody = 256 * 1024;
const isShort = ({ headers }: IncomingMessage): boolean =>
  headers["transfer-encoding"] === undefined &&
  headers.expect === undefined &&
  Number(headers["content-length"] ?? 0) <= shortBody;

/**
 * Answers a request whose body has not arrived completely: the rest of it would be read as the next request, so the
 * connection closes. Its writing half does so at once, the other half when the client has had time to read the
 * response.
 */
async function sendEarly(response: ApiResponse, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  response.headers["connection"] = "close";
  const withoutBody = incoming.method === "HEAD";
  if (!(response.body instanceof Uint8Array)) return send(response, outgoing, withoutBody);
  const { status, headers, body } = response;
  outgoing.writeHead(status, { ...headerBytes(headers), "content-length": body.length });
  outgoing.flushHeaders();
  // Not ended: Node would then close the connection with unread bytes on it.
  if (!withoutBody && !outgoing.write(body)) await drained(outgoing);
  const { socket } = incoming;
  const gone = new Promise<void>((resolve) => {
    socket.once("close", () => resolve()).end(() => resolve());
  });
  await dropRest(incoming);
  // The rest may have arrived already; the response must still be sent.
  socket.setTimeout(answerTimeout, () => socket.destroy());
  await gone;
  socket.destroy();
}

async function send(response: ApiResponse, outgoing: ServerResponse, withoutBody: boolean): Promise<void> {
  const { status, body } = response;
  const headers = headerBytes(response.headers);
  if (body instanceof Uint8Array) {
    outgoing.writeHead(status, { ...headers, "content-length": body.length });
    if (withoutBody) outgoing.end();
    else await writeWhole(body, outgoing);
    return;
  }
  outgoing.writeHead(status, headers);
  if (withoutBody) {
    outgoing.end();
    return endBody(response);
  }
  outgoing.flushHeaders();
  await writeBody(body, outgoing);
}
