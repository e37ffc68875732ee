import type { Readable, Writable } from "node:stream";
import type { TLSSocket } from "node:tls";
import type { ApiRequest, ApiResponse } from "#apiserver";
import { badRequest, requestEntityTooLarge } from "#base";
import type { Departure } from "./departure.ts";

/** A request as either version of HTTP brings it. */
export interface SentRequest {
  method: string;
  /** The path and the query. */
  url: string;
  /** Names in lower case. */
  headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Each value of a repeated header. */
  valuesOf(name: string): readonly string[];
  socket: TLSSocket;
  body(): Promise<Uint8Array>;
  /** The body as it arrives; absent when the request has none. */
  chunks?: (() => AsyncIterable<Uint8Array>) | undefined;
}

/** Bytes that a request may carry; upstream's limit. */
const largestBody = 3 * 1024 * 1024;

/** Builds a plain request. */
export function requestOf(sent: SentRequest, departure: Departure): ApiRequest {
  const { url } = sent;
  const mark = url.indexOf("?");
  const headers: Record<string, string | undefined> = {};
  let repeated: Record<string, readonly string[]> | undefined;
  for (const name in sent.headers) {
    const value = sent.headers[name];
    headers[name] = Array.isArray(value) ? value.join(",") : value;
    // Each value is a group or the like of its own, and may hold the comma that joins them.
    if (name.startsWith("impersonate-")) {
      repeated ??= {};
      repeated[name] = sent.valuesOf(name);
    }
  }
  const peer = peerOf(sent.socket);
  const request: ApiRequest = {
    method: sent.method,
    path: mark < 0 ? url : url.slice(0, mark),
    query: mark < 0 ? new URLSearchParams() : new URLSearchParams(url.slice(mark + 1)),
    rawQuery: mark < 0 ? "" : url.slice(mark + 1),
    headers,
    body: sent.body,
    chunks: sent.chunks,
    get signal() {
      return departure.signal;
    },
  };
  if (repeated) request.repeated = repeated;
  if (peer) request.peer = peer;
  return request;
}

/** The identity of a connection, by its client certificate; read once per connection. */
const peers = new WeakMap<object, ApiRequest["peer"]>();

function peerOf(socket: TLSSocket): ApiRequest["peer"] {
  const known = peers.get(socket);
  if (known) return known;
  // IPv4 addresses in their own form, on sockets of both families too.
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

/**
 * Reads the whole body of a request. `proceed` sends `100 Continue` to a client that waits for it, only once the body
 * is read, as net/http does. Throws ApiError 413 beyond the limit, at once for a larger content-length, and 400 when
 * the client disconnects before the end.
 */
export async function readBody(
  incoming: Readable,
  headers: SentRequest["headers"],
  proceed: () => void,
): Promise<Uint8Array> {
  const tooLarge = () => requestEntityTooLarge(`limit is ${largestBody}`);
  if (Number(headers["content-length"] ?? 0) > largestBody) throw tooLarge();
  if (headers["expect"] !== undefined) proceed();
  if (incoming.readableEnded) return new Uint8Array();
  const chunks: Buffer[] = [];
  let size = 0;
  let isWhole = false;
  await new Promise<void>((resolve, reject) => {
    // The refusal of an unread body must still be sent on its connection.
    const take = (chunk: Buffer): void => {
      size += chunk.length;
      if (size <= largestBody) return void chunks.push(chunk);
      incoming.off("data", take).pause();
      reject(tooLarge());
    };
    // Of the client's making, and no fault of the server's to log: the answer reaches no client.
    const gone = () => {
      if (!isWhole) reject(badRequest("unexpected EOF"));
    };
    const done = () => {
      isWhole = true;
      resolve();
    };
    incoming.on("data", take).on("end", done).on("error", gone).on("close", gone);
    if (incoming.destroyed) gone();
  });
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
}

/** Whether the headers of a request of HTTP/1.1 announce a body. */
export const hasBody = (headers: SentRequest["headers"]): boolean =>
  headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;

/** The body as it arrives, of any size. `proceed` sends `100 Continue` to a client that waits for it. */
export async function* bodyChunks(
  incoming: Readable,
  headers: SentRequest["headers"],
  proceed: () => void,
): AsyncGenerator<Uint8Array> {
  if (headers["expect"] !== undefined) proceed();
  // Not destroyed at the end: its connection carries the response.
  yield* incoming.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>;
}

/**
 * Bounds of the unread rest of a body after its response: bytes, milliseconds in all, and milliseconds without a byte.
 */
const largestRest = 16 * 1024 * 1024;
const restTimeout = 10_000;
const quietTimeout = 500;

/**
 * Reads and drops the rest of a body after its response. A connection that closes with unread bytes is reset, and the
 * client may lose the response; net/http reads on and lingers for the same reason (`maxPostHandlerReadBytes`,
 * `rstAvoidanceDelay`). Resolves at the end of the body, when the client has disconnected, or at a bound: 16 MiB, 10 s,
 * or 500 ms without a byte.
 */
export function dropRest(incoming: Readable): Promise<void> {
  return new Promise((resolve) => {
    let size = 0;
    const done = (): void => {
      clearTimeout(late);
      clearTimeout(quiet);
      incoming.off("data", drop);
      resolve();
    };
    const late = setTimeout(done, restTimeout);
    const quiet = setTimeout(done, quietTimeout);
    const drop = (chunk: Buffer): void => {
      size += chunk.length;
      if (size > largestRest) done();
      else quiet.refresh();
    };
    incoming.on("data", drop).once("end", done).once("close", done).resume();
    if (incoming.destroyed) done();
  });
}

const plain = /^[\x20-\x7e]*$/;

/**
 * Headers in the form of Node's writers: each character is a byte. Text beyond ASCII is sent as UTF-8, as Go sends it.
 */
export function headerBytes(headers: ApiResponse["headers"]): ApiResponse["headers"] {
  const written: ApiResponse["headers"] = {};
  for (const name in headers) {
    const value = headers[name]!;
    written[name] = Array.isArray(value) ? value.map(asBytes) : asBytes(value);
  }
  return written;
}

const asBytes = (value: string): string => (plain.test(value) ? value : Buffer.from(value).toString("latin1"));

/** Ends a body that will not be read. */
export async function endBody({ body }: ApiResponse): Promise<void> {
  if (!(body instanceof Uint8Array)) await body[Symbol.asyncIterator]().return?.();
}

/** Writes a body to its end, as fast as the client reads. */
export async function writeBody(body: ApiResponse["body"], outgoing: Writable): Promise<void> {
  if (body instanceof Uint8Array) {
    outgoing.end(body);
    return;
  }
  for await (const chunk of body) {
    if (outgoing.destroyed) break;
    if (!outgoing.write(chunk)) await drained(outgoing);
  }
  outgoing.end();
}

/**
 * Writes the body of a response on a connection that accepts a next request. The last byte of a large body waits until
 * the rest is written: a request that arrives while much of a response is unsent finds Node's parser paused, and its
 * connection then ends as for malformed input (HPE_PAUSED; seen with Node 20.20 and 24.21).
 */
export async function writeWhole(body: Uint8Array, outgoing: Writable): Promise<void> {
  if (body.length < outgoing.writableHighWaterMark) {
    outgoing.end(body);
    return;
  }
  if (!outgoing.write(body.subarray(0, -1))) await drained(outgoing);
  outgoing.end(body.subarray(-1));
}

/** Resolves when the client has read what was written, or has disconnected. */
export function drained(outgoing: Writable): Promise<void> {
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
