import { once } from "node:events";
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { WebSocketServer } from "ws";
import type { ApiRequest, ApiResponse, ApiServer } from "#apiserver";
import { type Log, messageOf, requestEntityTooLarge } from "#base";
import { compressed } from "./compress.ts";
import type { Links } from "./links.ts";

export interface HostOptions {
  server: ApiServer;
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

/** Bytes that a request may carry; upstream's limit. */
const largestBody = 3 * 1024 * 1024;
/** What is still open so long after close() began is cut, in milliseconds. */
const closeGrace = 2000;

/** Serves an API server over HTTPS. Rejects when the port cannot be had. */
export async function serve({ server, links, log, bind, port, tls }: HostOptions): Promise<Host> {
  const stopping = new AbortController();
  const sockets = new Set<Socket>();
  const host = createServer({
    ...tls,
    requestCert: tls.ca !== undefined,
    rejectUnauthorized: false,
    ALPNProtocols: ["http/1.1"],
    keepAliveTimeout: 90_000,
    // A client that has gone without a word is noticed, and a quiet watch stays open on its way.
    keepAlive: true,
    keepAliveInitialDelay: 60_000,
  });
  const agents = new WebSocketServer({ noServer: true, maxPayload: 64 * 1024 * 1024, perMessageDeflate: false });
  host.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  host.on("request", (incoming, outgoing) => {
    void answer(server, incoming, outgoing, stopping.signal).catch((error: unknown) => {
      log.debug("an answer could not be sent", { path: incoming.url, error: messageOf(error) });
      outgoing.destroy();
    });
  });
  host.on("upgrade", (incoming, socket, head) => {
    socket.on("error", () => socket.destroy());
    void upgrade(incoming, socket, head).catch((error: unknown) => {
      log.debug("an upgrade failed", { path: incoming.url, error: messageOf(error) });
      socket.destroy();
    });
  });
  host.on("clientError", (_error, socket) => socket.destroy());

  const upgrade = async (incoming: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> => {
    const left = new AbortController();
    socket.once("close", () => left.abort());
    const response = await server.handle(requestOf(incoming, left.signal));
    if (response.status !== 101) {
      await endBody(response);
      return refuse(socket, response);
    }
    if (response.link !== undefined) {
      const node = response.link;
      agents.handleUpgrade(incoming, socket, head, (webSocket) => {
        links.add(node, webSocket);
        log.debug("an agent has dialled in", { node });
      });
      return;
    }
    if (!response.tunnel) return refuse(socket, response);
    const stream = links.tunnel(response.tunnel.node, response.tunnel.path);
    stream.on("error", () => socket.destroy());
    stream.write(requestText(incoming, response.tunnel.path));
    if (head.length > 0) stream.write(head);
    stream.pipe(socket);
    socket.pipe(stream);
    socket.once("close", () => stream.destroy());
    stream.once("close", () => socket.end());
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
      stopping.abort();
      const closed = once(host, "close");
      host.close();
      host.closeIdleConnections();
      const cut = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, closeGrace);
      links.close();
      await closed;
      clearTimeout(cut);
    },
  };
}

/** The identity that a connection has shown; worked out once per connection. */
const peers = new WeakMap<object, ApiRequest["peer"]>();

function peerOf(socket: TLSSocket): ApiRequest["peer"] {
  const known = peers.get(socket);
  if (known) return known;
  // IPv4 in its own form, also where the socket takes both.
  const address = socket.remoteAddress?.replace(/^::ffff:(?=\d+\.)/, "");
  let peer: ApiRequest["peer"] = address === undefined ? {} : { address };
  if (socket.authorized) {
    const { subject } = socket.getPeerCertificate();
    const organizations = subject?.O === undefined ? [] : [subject.O].flat();
    const commonName = [subject?.CN ?? ""].flat()[0] ?? "";
    peer = { ...peer, certificate: { commonName, organizations } };
  }
  peers.set(socket, peer);
  return peer;
}

function requestOf(incoming: IncomingMessage, signal: AbortSignal): ApiRequest {
  const url = incoming.url ?? "/";
  const mark = url.indexOf("?");
  const headers: Record<string, string | undefined> = {};
  let repeated: Record<string, readonly string[]> | undefined;
  for (const name in incoming.headers) {
    const value = incoming.headers[name];
    headers[name] = Array.isArray(value) ? value.join(",") : value;
    // Each value is a group or the like of its own, and may hold the comma that joins them.
    if (name.startsWith("impersonate-")) {
      repeated ??= {};
      repeated[name] = incoming.headersDistinct[name] ?? [];
    }
  }
  const peer = peerOf(incoming.socket as TLSSocket);
  return {
    method: incoming.method ?? "GET",
    path: mark < 0 ? url : url.slice(0, mark),
    query: new URLSearchParams(mark < 0 ? "" : url.slice(mark + 1)),
    headers,
    ...(repeated ? { repeated } : {}),
    body: () => readBody(incoming),
    signal,
    ...(peer ? { peer } : {}),
  };
}

async function readBody(incoming: IncomingMessage): Promise<Uint8Array> {
  const tooLarge = () => requestEntityTooLarge(`limit is ${largestBody}`);
  if (Number(incoming.headers["content-length"] ?? 0) > largestBody) throw tooLarge();
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > largestBody) throw tooLarge();
    chunks.push(chunk);
  }
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
}

async function answer(
  server: ApiServer,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  stopping: AbortSignal,
): Promise<void> {
  const left = new AbortController();
  const leave = () => left.abort();
  outgoing.once("close", leave);
  stopping.addEventListener("abort", leave, { once: true });
  try {
    const request = requestOf(incoming, left.signal);
    const response = await compressed(request, await server.handle(request));
    if (outgoing.destroyed) return void endBody(response);
    // A body that was refused unread would be taken for the next request.
    if (!incoming.complete) response.headers["connection"] = "close";
    await send(response, outgoing, incoming.method === "HEAD");
  } finally {
    outgoing.off("close", leave);
    stopping.removeEventListener("abort", leave);
  }
}

async function endBody({ body }: ApiResponse): Promise<void> {
  if (!(body instanceof Uint8Array)) await body[Symbol.asyncIterator]().return?.();
}

async function send(response: ApiResponse, outgoing: ServerResponse, withoutBody: boolean): Promise<void> {
  const { status, headers, body } = response;
  if (body instanceof Uint8Array) {
    outgoing.writeHead(status, { ...headers, "content-length": body.length });
    outgoing.end(withoutBody ? undefined : body);
    return;
  }
  outgoing.writeHead(status, headers);
  if (withoutBody) {
    outgoing.end();
    return endBody(response);
  }
  outgoing.flushHeaders();
  for await (const chunk of body) {
    if (outgoing.destroyed) break;
    if (!outgoing.write(chunk)) await drained(outgoing);
  }
  outgoing.end();
}

/** Resolves when the client has taken what was written, or has gone. */
function drained(outgoing: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      outgoing.off("drain", done);
      outgoing.off("close", done);
      resolve();
    };
    outgoing.on("drain", done);
    outgoing.on("close", done);
    if (outgoing.destroyed) done();
  });
}

/** The client's request as the agent's HTTP/1.1 server reads it, at the agent's own path. */
function requestText(incoming: IncomingMessage, path: string): string {
  const lines = [`${incoming.method} ${path} HTTP/1.1`];
  const { rawHeaders } = incoming;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]!.toLowerCase() !== "authorization") lines.push(`${rawHeaders[at]}: ${rawHeaders[at + 1]}`);
  }
  return `${lines.join("\r\n")}\r\n\r\n`;
}

function refuse(socket: Duplex, { status, headers, body }: ApiResponse): void {
  const bytes = body instanceof Uint8Array ? body : new Uint8Array();
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${[value].flat().join(", ")}`);
  socket.write(
    [
      `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}`,
      ...lines,
      `content-length: ${bytes.length}`,
      "connection: close",
      "",
      "",
    ].join("\r\n"),
  );
  socket.end(bytes);
}
