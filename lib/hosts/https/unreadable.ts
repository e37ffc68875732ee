import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { type ApiResponse, methodNotAllowed } from "#apiserver";
import { dropRest } from "./exchange.ts";
import { refuse, statusResponse } from "./tunnel.ts";

/** The error of Node's parser for bytes that it cannot read. */
interface ParseError extends Error {
  code?: string;
  /** The bytes that had arrived; the start of the request if it is the connection's first. */
  rawPacket?: Buffer;
}

/** A request line with any valid method; Node's parser accepts a fixed list. */
const requestLine = /^[!#$%&'*+.^_`|~\w-]+ \S+ HTTP\/1\.[01]\r?\n/;

/**
 * Answers a request that Node's parser refuses, and closes its connection: an unknown method as kube-apiserver answers it
 * on resources, the rest as net/http. Connections that failed otherwise, or ran out of time, are closed.
 */
export function refuseUnreadable(error: ParseError, socket: Duplex): void {
  const response = answerTo(error);
  if (!response || !socket.writable) {
    if (!socket.writableEnded) socket.destroy();
    return;
  }
  refuse(socket, response);
  // The parser has failed; its listener would only report it again.
  socket.removeAllListeners("data");
  void dropRest(socket).then(() => socket.destroy());
}

function answerTo({ code = "", rawPacket }: ParseError): ApiResponse | undefined {
  if (code === "HPE_INVALID_METHOD" && requestLine.test(rawPacket?.toString("latin1") ?? "")) {
    return statusResponse(methodNotAllowed());
  }
  if (code === "HPE_HEADER_OVERFLOW") return plain(431);
  return code.startsWith("HPE_") ? plain(400) : undefined;
}

const plain = (status: number): ApiResponse => ({
  status,
  headers: { "content-type": "text/plain; charset=utf-8" },
  body: Buffer.from(`${status} ${STATUS_CODES[status]}`),
});
