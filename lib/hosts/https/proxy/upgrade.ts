import { type IncomingMessage, STATUS_CODES, request as sendRequest } from "node:http";
import type { Duplex } from "node:stream";
import type { ApiRequest, DialTarget } from "#apiserver";
import { ApiError, messageOf } from "#base";
import { requestHeaders, responseHeaders } from "./headers.ts";
import { connectTo, type Dial } from "./proxy.ts";

export interface UpgradeOptions {
  dial: Dial;
  target: DialTarget;
  request: ApiRequest;
  /** The client's connection, with the bytes after its request. */
  socket: Duplex;
  head: Buffer;
}

/**
 * Joins a client's connection to a server in a pod that upgrades it, to any protocol. A response of the server that
 * refuses the upgrade is passed on and ends the connection. Rejects with ApiError 500, as upstream answers, when the
 * server cannot be reached, or neither upgrades nor refuses.
 */
export async function proxyUpgrade({ dial, target, request, socket, head }: UpgradeOptions): Promise<void> {
  const connection = await connectTo(dial, target).catch((error: unknown) => {
    throw new ApiError(500, "", `error dialing backend: ${messageOf(error)}`);
  });
  socket.once("close", () => connection.destroy());
  const { response, rest } = await handshake(connection, target, request);
  const status = response.statusCode ?? 0;
  if (status !== 101) {
    if (status >= 400) return refused(response, socket);
    connection.destroy();
    throw new ApiError(500, "", `invalid upgrade response: status code ${status}`);
  }
  socket.write(headOf(response, pairsOf(response.rawHeaders)), "latin1");
  if (rest.length > 0) socket.write(rest);
  if (head.length > 0) connection.write(head);
  // Upstream ends both sides with the first that ends.
  for (const [from, to] of [
    [socket, connection],
    [connection, socket],
  ] as const) {
    from.on("error", () => to.destroy());
    from.once("close", () => to.destroy());
    from.pipe(to);
  }
}

interface Handshake {
  response: IncomingMessage;
  /** The bytes after the response's headers. */
  rest: Buffer;
}

function handshake(connection: Duplex, target: DialTarget, request: ApiRequest): Promise<Handshake> {
  const { method, headers, peer } = request;
  const passed = requestHeaders({ headers, peer });
  return new Promise((resolve, reject) => {
    const lost = (why: string) => reject(new ApiError(500, "", `error dialing backend: ${why}`));
    const sent = sendRequest({
      method,
      path: target.proxied.path,
      headers: { ...passed, connection: "Upgrade", upgrade: headers["upgrade"]! },
      setHost: passed["host"] === undefined,
      createConnection: () => connection,
    });
    sent.once("upgrade", (response, _socket, rest) => resolve({ response, rest }));
    sent.once("response", (response) => resolve({ response, rest: Buffer.alloc(0) }));
    sent.on("error", (error) => lost(error.message));
    sent.once("close", () => lost("EOF"));
    sent.end();
  });
}

async function refused(response: IncomingMessage, socket: Duplex): Promise<void> {
  const headers = Object.entries(responseHeaders(response.rawHeaders)).flatMap(([name, value]) =>
    [value].flat().map((one): [string, string] => [name, one]),
  );
  socket.write(headOf(response, [...headers, ["connection", "close"]]), "latin1");
  response.pipe(socket);
  response.once("error", () => socket.destroy());
}

const pairsOf = (rawHeaders: readonly string[]): [string, string][] =>
  rawHeaders.flatMap((name, at) => (at % 2 === 0 ? [[name, rawHeaders[at + 1]!]] : []));

function headOf({ statusCode = 0, statusMessage }: IncomingMessage, headers: readonly [string, string][]): string {
  const reason = statusMessage || STATUS_CODES[statusCode] || "";
  return [`HTTP/1.1 ${statusCode} ${reason}`, ...headers.map(([name, value]) => `${name}: ${value}`), "", ""].join(
    "\r\n",
  );
}
