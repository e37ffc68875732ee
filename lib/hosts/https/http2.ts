import { constants, performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { TLSSocket } from "node:tls";
import type { ApiRequest, ApiResponse } from "#apiserver";
import { type Log, messageOf } from "#base";
import type { Departures } from "./departure.ts";
import {
  bodyChunks,
  dropRest,
  endBody,
  headerBytes,
  readBody,
  requestOf,
  type SentRequest,
  writeBody,
} from "./exchange.ts";

/** How many requests, watches among them, a client may have at once on a connection; upstream's default. */
const maximumStreams = 100;
/** Bytes of a request's body that may arrive before they are read; upstream's values. */
const streamWindow = 256 * 1024;
const connectionWindow = streamWindow * maximumStreams;
/**
 * MB that the streams of a connection may buffer: for each a window of its request and some chunks of its response.
 * Node refuses new requests of a connection with more, and its default of 10 is too small for many streams.
 */
const maxSessionMemory = 64;
/** Bytes of an answer that are written at a time. */
const piece = 64 * 1024;
/** A connection without a request for so long is closed, in milliseconds. */
const idleTimeout = 90_000;

export interface Http2Options {
  answer(request: ApiRequest): Promise<ApiResponse>;
  log: Log;
  departures: Departures;
}

/**
 * HTTP/2 connections. Each stream has its own window, so a watcher that does not read holds back only its own events:
 * at most a window and one chunk of them are buffered.
 */
export class Http2Connections {
  readonly #options: Http2Options;
  readonly #sessions = new Set<ServerHttp2Session>();

  constructor(options: Http2Options) {
    this.#options = options;
  }

  /** Accepts a connection whose client has chosen h2. */
  accept(socket: TLSSocket): void {
    const session = performServerHandshake(socket, {
      settings: { maxConcurrentStreams: maximumStreams, initialWindowSize: streamWindow, enablePush: false },
      maxSessionMemory,
    });
    this.#sessions.add(session);
    session.setLocalWindowSize(connectionWindow);
    let open = 0;
    session.on("error", (error) => this.#options.log.debug("an HTTP/2 connection failed", { error: error.message }));
    session.once("close", () => this.#sessions.delete(session));
    session.setTimeout(idleTimeout, () => {
      if (open === 0) session.close();
    });
    session.on("stream", (stream, headers, _flags, rawHeaders) => {
      open++;
      stream.once("close", () => open--);
      stream.on("error", (error) => this.#options.log.debug("an HTTP/2 request failed", { error: error.message }));
      // A reset without an error code leaves the stream to a writer that waits for its client.
      stream.once("aborted", () => stream.destroy());
      // A stream may have been reset before it is seen here.
      if (stream.destroyed) return;
      void this.#serve(stream, sentRequest(stream, { socket, received: headers, rawHeaders })).catch(
        (error: unknown) => {
          this.#options.log.debug("an answer could not be sent", { path: headers[":path"], error: messageOf(error) });
          stream.close(constants.NGHTTP2_INTERNAL_ERROR);
        },
      );
    });
    if (this.#options.departures.isStopping) session.close();
  }

  /** Sends GOAWAY to every client; a connection closes when its last stream has ended. */
  close(): void {
    for (const session of this.#sessions) session.close();
  }

  async #serve(stream: ServerHttp2Stream, sent: SentRequest): Promise<void> {
    const departure = this.#options.departures.open();
    stream.once("close", departure.leave);
    try {
      const response = await this.#options.answer(requestOf(sent, departure));
      if (stream.destroyed || stream.closed) return void (await endBody(response));
      await send(response, stream, sent.method === "HEAD");
    } finally {
      stream.off("close", departure.leave);
      this.#options.departures.close(departure);
    }
  }
}

type ReceivedHeaders = Record<string, string | string[] | undefined>;

interface Received {
  socket: TLSSocket;
  received: ReceivedHeaders;
  rawHeaders: readonly string[];
}

function sentRequest(stream: ServerHttp2Stream, { socket, received, rawHeaders }: Received): SentRequest {
  const headers: Record<string, string | string[] | undefined> = {};
  for (const name in received) if (!name.startsWith(":")) headers[name] = received[name];
  if (headers["host"] === undefined) headers["host"] = received[":authority"];
  const proceed = (): void => {
    if (!stream.destroyed) stream.additionalHeaders({ ":status": 100 });
  };
  return {
    method: String(received[":method"] ?? "GET"),
    url: String(received[":path"] ?? "/"),
    headers,
    valuesOf: (name) => rawHeaders.filter((_value, index) => index % 2 === 1 && rawHeaders[index - 1] === name),
    socket,
    body: () => readBody(stream, headers, proceed),
    chunks: stream.endAfterHeaders ? undefined : () => bodyChunks(stream, headers, proceed),
  };
}

/** Headers that belong to a connection of HTTP/1.1. */
const ofConnections = new Set(["connection", "keep-alive", "transfer-encoding", "upgrade", "proxy-connection"]);

async function send(response: ApiResponse, stream: ServerHttp2Stream, withoutBody: boolean): Promise<void> {
  const { body } = response;
  const headers: Record<string, string | string[] | number> = { ":status": response.status };
  for (const [name, value] of Object.entries(headerBytes(response.headers))) {
    if (!ofConnections.has(name.toLowerCase())) headers[name.toLowerCase()] = value;
  }
  if (body instanceof Uint8Array) headers["content-length"] = body.length;
  stream.respond(headers, { endStream: withoutBody });
  if (withoutBody) return endBody(response);
  await writeBody(body instanceof Uint8Array && body.length > piece ? piecesOf(body) : body, stream);
  // The rest of the request is dropped. A reset would cost some clients the response (curl 8: a partial body).
  if (!stream.readableEnded && !stream.endAfterHeaders) await dropRest(stream);
  if (!stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR);
}

/** Writes a large response in chunks: data that waits for the client counts against its connection. */
async function* piecesOf(body: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < body.length; at += piece) yield body.subarray(at, at + piece);
}
