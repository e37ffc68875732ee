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
  drained,
  dropRest,
  endBody,
  headerBytes,
  readBody,
  requestOf,
  type SentRequest,
  writeBody,
  writeWhole,
} from "./exchange.ts";
import { Http2Connections } from "./http2.ts";
import type { Links } from "./links.ts";
import { joinTunnel, refuse, statusResponse } from "./tunnel.ts";
import { refuseUnreadable } from "./unreadable.ts";
import { AnswerSockets, isWebSocket, takeBearerProtocol } from "./websocket.ts";

export interface HostOptions {
  server: Pick<ApiServer, "handle">;
  links: Links;
  log: Log;
  bind: string;
  /** 0 takes any free one. */
  port: number;
  /**
   * The server's certificate, and the authority that clients' certificates must come from, in PEM. Without the latter
   * no client is asked for one.
   */
  tls: { cert: string; key: string; ca?: string };
}

export interface Host {
  port: number;
  /** Shows this certificate to everybody who connects from now on. */
  renew(tls: { cert: string; key: string }): void;
  /** Takes no new connections, ends the watches, and resolves when all connections are closed. */
  close(): Promise<void>;
}

/** Bytes of a request's line and headers, such as long selectors; net/http's default (`DefaultMaxHeaderBytes`). */
const maxHeaderSize = 1024 * 1024;

/** How long a client that reads nothing may hold the rest of an answer, in milliseconds. */
const answerTimeout = 10_000;

/** What is still open so long after close() began is cut, in milliseconds. */
const closeGrace = 2000;

/** Serves an API server over HTTPS. Rejects when the port cannot be had. */
export async function serve({ server, links, log, bind, port, tls }: HostOptions): Promise<Host> {
  const departures = new Departures();
  const sockets = new Set<Socket>();
  const host = createServer({
    ...tls,
    requestCert: tls.ca !== undefined,
    rejectUnauthorized: false,
    ALPNProtocols: ["h2", "http/1.1"],
    maxHeaderSize,
    keepAliveTimeout: 90_000,
    // A client that has gone without a word is noticed, and a quiet watch stays open on its way.
    keepAlive: true,
    keepAliveInitialDelay: 60_000,
  });
  const respond = async (request: ApiRequest) => compressed(request, await server.handle(request));
  const http2 = new Http2Connections({ answer: respond, log, departures });
  divide(host, http2);
  const answers = new AnswerSockets();
  const agents = new WebSocketServer({ noServer: true, maxPayload: 64 * 1024 * 1024, perMessageDeflate: false });
  host.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  const lastAnswers = new WeakMap<Duplex, ServerResponse>();
  const take = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    lastAnswers.set(incoming.socket, outgoing);
    void answer(respond, incoming, outgoing, departures).catch((error: unknown) => {
      log.debug("an answer could not be sent", { path: incoming.url, error: messageOf(error) });
      outgoing.destroy();
    });
  };
  host.on("request", take);
  host.on("checkContinue", take);
  host.on("upgrade", (incoming, socket, head) => {
    socket.on("error", () => socket.destroy());
    void upgrade(incoming, socket, head).catch((error: unknown) => {
      log.debug("an upgrade failed", { path: incoming.url, error: messageOf(error) });
      if (isApiError(error)) refuse(socket, statusResponse(error));
      else socket.destroy();
    });
  });
  host.on("clientError", (error, socket) => {
    // An answer that is still being written would be mixed with this one.
    if (lastAnswers.get(socket)?.writableFinished ?? true) refuseUnreadable(error, socket);
    else socket.destroy();
  });

  const upgrade = async (incoming: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> => {
    const departure = departures.open();
    socket.once("close", () => {
      departure.leave();
      departures.close(departure);
    });
    const asked = isWebSocket(incoming);
    if (asked) takeBearerProtocol(incoming);
    const response = await server.handle(requestOf(sentRequest(incoming), departure));
    if (response.link !== undefined) {
      const node = response.link;
      agents.handleUpgrade(incoming, socket, head, (webSocket) => {
        links.add(node, webSocket);
        log.debug("an agent has dialled in", { node });
      });
      return;
    }
    if (response.tunnel) return joinTunnel({ links, ...response.tunnel, incoming, socket, head });
    if (asked && response.messages !== undefined && response.status === 200) {
      // As x/net/websocket's handler, which upstream gives its watches to, and not its logs.
      if (response.messages === "events" && incoming.headers.origin === undefined) {
        await endBody(response);
        return refuse(socket, { status: 403, headers: {}, body: new Uint8Array() });
      }
      return answers.send(incoming, socket, head, response);
    }
    await endBody(response);
    refuse(socket, response);
  };

  host.listen(port, bind);
  await Promise.race([
    once(host, "listening"),
    once(host, "error").then(([error]) => {
      throw error;
    }),
  ]);
  return {
    port: (host.address() as AddressInfo).port,
    renew: ({ cert, key }) => host.setSecureContext({ ...tls, cert, key }),
    async close() {
      departures.stop();
      const closed = once(host, "close");
      host.close();
      host.closeIdleConnections();
      http2.close();
      const cut = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, closeGrace);
      links.close();
      await closed;
      clearTimeout(cut);
    },
  };
}

/** Gives a connection to HTTP/2 where its client has chosen that; upgrades (exec and the like) come by HTTP/1.1 alone. */
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
});

async function answer(
  respond: (request: ApiRequest) => Promise<ApiResponse>,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  departures: Departures,
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

/** A body of which the rest is read after the answer, so that the connection goes on: `maxPostHandlerReadBytes` in net/http. */
const shortBody = 256 * 1024;
const isShort = ({ headers }: IncomingMessage): boolean =>
  headers["transfer-encoding"] === undefined &&
  headers.expect === undefined &&
  Number(headers["content-length"] ?? 0) <= shortBody;

/**
 * Answers a request whose body has not come to its end: what is left of it would be taken for the next request, so the
 * connection closes. Its writing half does at once, the other one when the client has had time to read the answer.
 */
async function sendEarly(response: ApiResponse, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  response.headers["connection"] = "close";
  const withoutBody = incoming.method === "HEAD";
  if (!(response.body instanceof Uint8Array)) return send(response, outgoing, withoutBody);
  const { status, headers, body } = response;
  outgoing.writeHead(status, { ...headerBytes(headers), "content-length": body.length });
  outgoing.flushHeaders();
  // Not ended: Node then closes the connection with what is unread on it.
  if (!withoutBody && !outgoing.write(body)) await drained(outgoing);
  const { socket } = incoming;
  const gone = new Promise<void>((resolve) => {
    socket.once("close", () => resolve()).end(() => resolve());
  });
  await dropRest(incoming);
  // The rest may have been there already: the answer still has to leave.
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
