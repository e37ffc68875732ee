import { randomBytes, timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { createAuthority, issue } from "#auth/certificates";
import { responseHeaders } from "#aws/http";
import type { Signer } from "#aws/request-signer";
import {
  type ApiError,
  badRequest,
  type Clock,
  internalError,
  isApiError,
  type Log,
  messageOf,
  unauthorized,
} from "#base";
import { type Upstream, upstream } from "./forward.ts";
import { dialRelay } from "./relay-client.ts";

export interface ProxyServerOptions {
  /** The API's URL, without the part for signed requests. */
  server: string;
  /** `wss://…`: the WebSocket API. */
  link: string;
  sign: Signer;
  /** The CA of both certificates, in PEM, if the machine does not trust it. */
  ca?: string | undefined;
  /** On 127.0.0.1; 0: any free port. */
  port: number;
  clock: Clock;
  log: Log;
}

/** A proxy that listens. */
export interface Proxy {
  /** `https://127.0.0.1:…`. */
  url: string;
  /** The authority of its certificate, in PEM. */
  ca: string;
  /** Required of every request. */
  token: string;
  close(): Promise<void>;
}

/** Requests that API Gateway cannot upgrade, and that use the WebSocket API. */
const relayed = /^\/api\/v1\/namespaces\/[^/]+\/pods\/[^/]+\/(?:exec|attach|portforward)$/;

/**
 * Listens on this machine only, with its own certificate and token, and passes requests on with the identity of the
 * signing credentials. Rejects when the port is not available.
 */
export async function startProxy(options: ProxyServerOptions): Promise<Proxy> {
  const { port, clock, log } = options;
  const token = randomBytes(32).toString("base64url");
  const authority = await createAuthority(clock.now());
  const subject = { commonName: "skiff-proxy" };
  const tls = await issue({ authority, subject, names: ["127.0.0.1", "localhost"], days: 365, now: clock.now() });
  const onward = upstream(options);
  const isLetIn = ({ headers }: IncomingMessage): boolean => {
    const [expected, given] = [Buffer.from(`Bearer ${token}`), Buffer.from(headers.authorization ?? "")];
    return expected.length === given.length && timingSafeEqual(expected, given);
  };
  const server = createServer({ ...tls, ALPNProtocols: ["http/1.1"], keepAliveTimeout: 90_000 });
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.on("clientError", (_error, socket) => socket.destroy());
  server.on("request", (request, response) => {
    pass(onward, request, response, isLetIn(request)).catch((error: unknown) => {
      log.debug("a request failed", { path: request.url, error: messageOf(error) });
      if (response.headersSent) response.destroy();
      else say(response, errorOf(error));
    });
  });
  server.on("upgrade", (request, socket: Duplex, head: Buffer) => {
    socket.on("error", () => socket.destroy());
    const work = isLetIn(request) ? relay(options, onward, { request, socket, head }) : Promise.reject(unauthorized());
    work.catch((error: unknown) => {
      log.debug("an upgrade failed", { path: request.url, error: messageOf(error) });
      const { status, code } = errorOf(error);
      refuse(socket, code, JSON.stringify(status));
    });
  });
  server.listen(port, "127.0.0.1");
  await Promise.race([
    once(server, "listening"),
    once(server, "error").then(([error]) => {
      throw error;
    }),
  ]);
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ca: authority.cert,
    token,
    async close() {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
      onward.close();
    },
  };
}

const errorOf = (error: unknown): ApiError => (isApiError(error) ? error : internalError(messageOf(error), error));

function say(response: ServerResponse, { status, code }: ApiError): void {
  response.writeHead(code, { "content-type": "application/json" }).end(JSON.stringify(status));
}

async function pass(
  onward: Upstream,
  request: IncomingMessage,
  response: ServerResponse,
  isLetIn: boolean,
): Promise<void> {
  if (!isLetIn) throw unauthorized();
  const answer = await onward.send(request);
  response.writeHead(answer.statusCode ?? 502, responseHeaders(answer));
  response.flushHeaders();
  response.once("close", () => answer.destroy());
  // Cut short above, it is cut short below.
  answer.once("error", () => response.destroy());
  answer.once("aborted", () => response.destroy());
  answer.pipe(response);
}

interface Upgrade {
  request: IncomingMessage;
  socket: Duplex;
  head: Buffer;
}

/** Requests a ticket, and joins the client to the agent if the request is allowed. */
async function relay(options: ProxyServerOptions, onward: Upstream, { request, socket, head }: Upgrade): Promise<void> {
  const { log } = options;
  const { pathname } = new URL(request.url ?? "/", "http://proxy");
  if (!relayed.test(pathname)) throw badRequest(`unable to upgrade: ${pathname} takes no upgraded connection`);
  const answer = await onward.send(request, { "x-skiff-upgrade": request.headers.upgrade ?? "" });
  const body = await text(answer);
  const ticket = answer.statusCode === 201 ? ticketIn(body) : undefined;
  if (ticket === undefined) {
    const code = answer.statusCode ?? 502;
    refuse(socket, code < 400 ? 502 : code, body, answer.headers["content-type"]);
    return;
  }
  const stream = await dialRelay(options, ticket);
  stream.on("error", (error) => {
    if (!socket.destroyed) log.warn("a connection was cut", { path: pathname, error: error.message });
    socket.destroy();
  });
  stream.write(requestText(request));
  if (head.length > 0) stream.write(head);
  stream.pipe(socket);
  socket.pipe(stream);
  socket.once("close", () => stream.destroy());
  if (socket.destroyed) stream.destroy();
}

function ticketIn(body: string): string | undefined {
  try {
    const { ticket } = JSON.parse(body) as { ticket?: unknown };
    return typeof ticket === "string" ? ticket : undefined;
  } catch {
    return undefined;
  }
}

/** The request for the agent's HTTP/1.1 server; the agent knows its path from the relay. */
function requestText({ method, rawHeaders }: IncomingMessage): string {
  const lines = [`${method} / HTTP/1.1`];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]!.toLowerCase() !== "authorization") lines.push(`${rawHeaders[at]}: ${rawHeaders[at + 1]}`);
  }
  return `${lines.join("\r\n")}\r\n\r\n`;
}

function refuse(socket: Duplex, code: number, body: string, type = "application/json"): void {
  if (socket.destroyed || socket.writableEnded) return;
  const head = [
    `HTTP/1.1 ${code} ${STATUS_CODES[code] ?? ""}`,
    `content-type: ${type}`,
    `content-length: ${Buffer.byteLength(body)}`,
    "connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`);
}
