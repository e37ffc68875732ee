import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import type { ApiResponse } from "#apiserver";
import { ApiError } from "#base";
import { endBody } from "./exchange.ts";

/** Whether a request is a WebSocket handshake. */
export const isWebSocket = ({ headers }: IncomingMessage): boolean => headers.upgrade?.toLowerCase() === "websocket";

/** Subprotocols of a plain stream of bytes (upstream's `NewDefaultReaderProtocols`); "" is a client without one. */
const byteProtocols = ["", "binary.k8s.io", "base64.binary.k8s.io"];

const newline = 0x0a;

interface Upgrade {
  socket: Duplex;
  head: Buffer;
  response: ApiResponse;
}

/**
 * Sends responses as messages of a WebSocket: each event of a watch as text, and the chunks of a log as bytes or in
 * base64. Messages of the client are ignored; a client that disconnects ends the response.
 */
export class AnswerSockets {
  readonly #server = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: 64 * 1024,
    handleProtocols: () => false,
  });

  constructor() {
    this.#server.on("headers", (headers, request) => {
      const { chosen } = request as Chosen;
      if (chosen) headers.push(`Sec-WebSocket-Protocol: ${chosen}`);
    });
  }

  /** Throws ApiError 403, as upstream answers, for an unknown protocol. */
  async send(incoming: IncomingMessage, { socket, head, response }: Upgrade): Promise<void> {
    const protocol = chosenOf(incoming, response);
    const request: Chosen = incoming;
    request.chosen = protocol;
    // The package refuses names with a slash; without the header it checks none.
    delete request.headers["sec-websocket-protocol"];
    const opened = new Promise<WebSocket>((resolve) => this.#server.handleUpgrade(request, socket, head, resolve));
    const left = new Promise<undefined>((resolve) => socket.once("close", () => resolve(undefined)));
    const client = await Promise.race([opened, left]);
    if (!client) return endBody(response);
    client.on("error", () => client.terminate());
    if (response.messages === "events") await sendEvents(client, response);
    else await sendBytes(client, response, protocol.includes("base64"));
    client.close(1000);
  }
}

interface Chosen extends IncomingMessage {
  chosen?: string;
}

function chosenOf({ headers }: IncomingMessage, { messages }: ApiResponse): string {
  const offered = (headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim());
  // Upstream accepts any protocol for a watch.
  if (messages === "events") return offered[0]!;
  const found = offered.find((name) => byteProtocols.includes(name));
  if (found !== undefined) return found;
  throw new ApiError(403, "Forbidden", `requested protocol(s) are not supported: [${offered.join(" ")}]`);
}

async function sendEvents(client: WebSocket, response: ApiResponse): Promise<void> {
  let rest = Buffer.alloc(0);
  for await (const chunk of chunksOf(response)) {
    if (client.readyState !== client.OPEN) return;
    rest = Buffer.concat([rest, chunk]);
    for (let end = rest.indexOf(newline); end >= 0; end = rest.indexOf(newline)) {
      await sent(client, rest.subarray(0, end + 1).toString());
      rest = rest.subarray(end + 1);
    }
  }
}

async function sendBytes(client: WebSocket, response: ApiResponse, encoded: boolean): Promise<void> {
  const message = (bytes: Uint8Array) => (encoded ? Buffer.from(bytes).toString("base64") : bytes);
  // An empty message marks the open stream (upstream's `ping`).
  await sent(client, message(new Uint8Array()));
  for await (const chunk of chunksOf(response)) {
    if (client.readyState !== client.OPEN) return;
    await sent(client, message(chunk));
  }
}

async function* chunksOf({ body }: ApiResponse): AsyncGenerator<Uint8Array> {
  if (body instanceof Uint8Array) yield body;
  else yield* body;
}

/** Resolves when the message has been written, or its client has gone. */
const sent = (client: WebSocket, message: string | Uint8Array): Promise<void> =>
  new Promise((resolve) => client.send(message, () => resolve()));

const bearerPrefix = "base64url.bearer.authorization.k8s.io.";

/**
 * Browsers cannot set headers of a WebSocket: upstream accepts a token as a subprotocol beside another one
 * (`ProtocolAuthenticator`). Moves it to the Authorization header; other protocols stay. A malformed token is ignored.
 */
export function takeBearerProtocol({ headers }: IncomingMessage): void {
  const offered = (headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim());
  const tokens = offered.filter((name) => name.startsWith(bearerPrefix));
  const others = offered.filter((name) => !name.startsWith(bearerPrefix));
  if (tokens.length !== 1 || others.length === 0 || headers.authorization !== undefined) return;
  const token = Buffer.from(tokens[0]!.slice(bearerPrefix.length), "base64url").toString();
  if (!/^[\x21-\x7e]+$/.test(token)) return;
  headers.authorization = `Bearer ${token}`;
  headers["sec-websocket-protocol"] = others.join(", ");
}
