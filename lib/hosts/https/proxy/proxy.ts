import { type IncomingMessage, request as sendRequest } from "node:http";
import { type Duplex, pipeline, type Readable } from "node:stream";
import { connect as connectTls } from "node:tls";
import { createDeflateRaw, createGunzip, createGzip, createInflateRaw } from "node:zlib";
import type { ApiRequest, ApiResponse, DialTarget } from "#apiserver";
import { isApiError, messageOf, serviceUnavailable } from "#base";
import { drained } from "../exchange.ts";
import { requestHeaders, responseHeaders } from "./headers.ts";
import { LinkRewriter } from "./html.ts";
import { joined, type LinkContext, rewriteLink } from "./links.ts";

/** Bytes of a response's headers; the default of Go's Transport. */
const maxHeaderSize = 10 * 1024 * 1024;

/** Opens a connection to the server in the pod. */
export type Dial = (target: DialTarget) => Promise<Duplex>;

/** The connection, in TLS where the target's scheme asks for it. Certificates of pods are not verified, as upstream. */
export async function connectTo(dial: Dial, target: DialTarget): Promise<Duplex> {
  const stream = await dial(target);
  if (target.proxied.scheme === "http") return stream;
  const secure = connectTls({ socket: stream, rejectUnauthorized: false });
  await new Promise<void>((resolve, reject) => {
    secure.once("secureConnect", resolve);
    secure.once("error", reject);
    secure.once("close", () => reject(new Error("the connection was closed")));
  });
  return secure;
}

/**
 * Sends a client's request to a server in a pod and returns its response, with bodies as streams. Rejects with ApiError
 * 503 when the server cannot be reached or does not answer with HTTP.
 */
export async function proxyRequest(
  dial: Dial,
  target: DialTarget,
  request: ApiRequest,
): Promise<Pick<ApiResponse, "status" | "headers" | "body">> {
  try {
    return answerOf(await exchange(await connectTo(dial, target), target, request), target, request);
  } catch (error) {
    if (isApiError(error)) throw error;
    throw serviceUnavailable(`error trying to reach service: ${messageOf(error)}`);
  }
}

/** The path of the client's request in X-Forwarded-Uri. */
const forwardedUri = ({ proxied: { prefix, path } }: DialTarget): string => joined(prefix, path.replace(/\?.*$/s, ""));

function exchange(connection: Duplex, target: DialTarget, request: ApiRequest): Promise<IncomingMessage> {
  const { method, signal, headers, peer } = request;
  const chunks = request.chunks?.();
  const passed = requestHeaders({ headers, peer, uri: forwardedUri(target) });
  if (chunks && passed["content-length"] === undefined) passed["transfer-encoding"] = "chunked";
  return new Promise((resolve, reject) => {
    const sent = sendRequest({
      method,
      path: target.proxied.path,
      headers: { ...passed, connection: "close" },
      setHost: passed["host"] === undefined,
      createConnection: () => connection,
      maxHeaderSize,
    });
    const abort = (): void => void sent.destroy(new Error("the client has disconnected"));
    signal.addEventListener("abort", abort, { once: true });
    connection.once("close", () => signal.removeEventListener("abort", abort));
    if (signal.aborted) abort();
    sent.once("response", resolve);
    sent.on("error", reject);
    sent.once("close", () => reject(new Error("EOF")));
    if (!chunks) sent.end();
    // A target may answer before it has read the whole body.
    else void send(chunks, sent).catch((error: unknown) => sent.destroy(error as Error));
  });
}

async function send(chunks: AsyncIterable<Uint8Array>, to: ReturnType<typeof sendRequest>): Promise<void> {
  for await (const chunk of chunks) {
    if (to.destroyed || to.errored) return;
    if (!to.write(chunk)) await drained(to);
  }
  to.end();
}

function answerOf(
  incoming: IncomingMessage,
  { proxied }: DialTarget,
  request: ApiRequest,
): Pick<ApiResponse, "status" | "headers" | "body"> {
  const headers = responseHeaders(incoming.rawHeaders);
  const context = { targetHost: proxied.host, clientHost: request.headers["host"] ?? "", prefix: proxied.prefix };
  const status = incoming.statusCode ?? 502;
  const { location } = headers;
  if (typeof location === "string" && location !== "") {
    headers["location"] = rewriteLink(location, context);
    return { status, headers, body: incoming };
  }
  const hasBody = request.method !== "HEAD" && status !== 204 && status !== 304;
  const body = hasBody ? rewritten(incoming, headers, context) : incoming;
  if (body !== incoming) delete headers["content-length"];
  return { status, headers, body };
}

/** The body with its links rewritten, where it is HTML in an encoding that is known; the body itself otherwise. */
function rewritten(incoming: IncomingMessage, headers: ApiResponse["headers"], context: LinkContext): Readable {
  const type = String(headers["content-type"] ?? "")
    .split(";")[0]!
    .trim();
  const coders = coding[String(headers["content-encoding"] ?? "")];
  if (type !== "text/html" || !coders) return incoming;
  const rewriter = new LinkRewriter((link) => rewriteLink(link, context));
  const steps = [...(coders.decode ? [coders.decode()] : []), rewriter, ...(coders.encode ? [coders.encode()] : [])];
  return pipeline([incoming, ...steps], () => {}) as unknown as Readable;
}

interface Coders {
  decode?: () => NodeJS.ReadWriteStream;
  encode?: () => NodeJS.ReadWriteStream;
}

const coding: Readonly<Record<string, Coders>> = {
  "": {},
  gzip: { decode: createGunzip, encode: createGzip },
  // Go's "deflate" has no zlib header.
  deflate: { decode: createInflateRaw, encode: createDeflateRaw },
};
