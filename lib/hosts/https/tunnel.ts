import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import type { NodeRequest } from "#api/meta";
import type { ApiResponse } from "#apiserver";
import { type ApiError, messageOf, serviceUnavailable } from "#base";
import { encodeNodeRequest } from "#node-link";
import { headerBytes } from "./exchange.ts";
import type { Links } from "./links.ts";

export interface TunnelOptions {
  links: Links;
  node: string;
  request: NodeRequest;
  incoming: IncomingMessage;
  socket: Duplex;
  head: Buffer;
}

/**
 * Joins a client's connection to a node's agent, which serves the request. A node that cannot be reached, or whose link
 * breaks before its response, is answered with 503 and upstream's message.
 */
export function joinTunnel({ links, node, request, incoming, socket, head }: TunnelOptions): void {
  let answered = false;
  const lost = (error: unknown): void => {
    if (answered) socket.destroy();
    else refuse(socket, statusResponse(serviceUnavailable(`error dialing backend: ${messageOf(error)}`)));
    answered = true;
  };
  let stream: Duplex;
  try {
    stream = links.tunnel(node, request);
  } catch (error) {
    return void lost(error);
  }
  stream.on("error", lost);
  stream.once("data", () => {
    answered = true;
  });
  stream.write(requestText(incoming, encodeNodeRequest(request)));
  if (head.length > 0) stream.write(head);
  stream.pipe(socket, { end: false });
  socket.pipe(stream);
  socket.once("close", () => stream.destroy());
  stream.once("close", () => {
    if (!answered) lost(new Error(`the agent of node ${node} did not answer`));
    else socket.end();
  });
}

/** The client's request as the agent's HTTP/1.1 server reads it, at the agent's own path and without credentials. */
function requestText(incoming: IncomingMessage, path: string): string {
  const lines = [`${incoming.method} ${path} HTTP/1.1`];
  const { rawHeaders, headers } = incoming;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!.toLowerCase();
    if (name !== "authorization" && name !== "sec-websocket-protocol")
      lines.push(`${rawHeaders[at]}: ${rawHeaders[at + 1]}`);
  }
  const protocols = headers["sec-websocket-protocol"];
  if (protocols) lines.push(`Sec-WebSocket-Protocol: ${protocols}`);
  return `${lines.join("\r\n")}\r\n\r\n`;
}

/** An error as the response on a connection that was not upgraded. */
export const statusResponse = ({ status, code }: ApiError): ApiResponse => ({
  status: code,
  headers: { "content-type": "application/json" },
  body: new TextEncoder().encode(JSON.stringify(status)),
});

/** Answers an upgrade request like any other, and ends its connection. */
export function refuse(socket: Duplex, { status, headers, body }: ApiResponse): void {
  if (socket.destroyed || socket.writableEnded) return;
  const bytes = body instanceof Uint8Array ? body : new Uint8Array();
  const lines = Object.entries(headerBytes(headers)).flatMap(([name, value]) =>
    [value].flat().map((one) => `${name}: ${one}`),
  );
  socket.write(
    [
      `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}`,
      ...lines,
      `content-length: ${bytes.length}`,
      "connection: close",
      "",
      "",
    ].join("\r\n"),
    "latin1",
  );
  socket.end(bytes);
}
