import { type IncomingMessage, request as plain, type RequestOptions } from "node:http";
import { Agent, request as secure } from "node:https";
import type { Signer } from "#aws/request-signer";
import { requestEntityTooLarge, serviceUnavailable } from "#base";

export interface UpstreamOptions {
  /** The API's URL, without the part for signed requests. */
  server: string;
  sign: Signer;
  ca?: string | undefined;
}

/** Sends requests to the surface on which API Gateway checks signatures. */
export interface Upstream {
  /**
   * Sends a client's request with its body, signed; `more` are headers besides the client's. Throws ApiError 413, and
   * 503 when the API cannot be reached or there are no credentials.
   */
  send(request: IncomingMessage, more?: Record<string, string>): Promise<IncomingMessage>;
  close(): void;
}

/** Idle connections are closed before API Gateway closes them. */
const idleMilliseconds = 60_000;
/** API Gateway's limit. */
const largestBody = 10 * 1024 * 1024;
/** Headers of one connection, or that are set here. */
const own = new Set([
  "authorization",
  "connection",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);
/** And those of an upgrade: API Gateway would refuse it. */
const isOwn = (name: string): boolean => own.has(name) || name.startsWith("sec-websocket-");

export function upstream({ server, sign, ca }: UpstreamOptions): Upstream {
  const base = new URL(server);
  const isSecure = base.protocol === "https:";
  const agent = new Agent({ keepAlive: true, timeout: idleMilliseconds, ...(ca === undefined ? {} : { ca }) });
  const prefix = `${base.pathname.replace(/\/$/, "")}/iam`;
  return {
    async send(request, more = {}) {
      const body = await bodyOf(request);
      const { pathname, searchParams } = new URL(request.url ?? "/", "http://proxy");
      // In forms a plus means a blank; in the signed query it means itself.
      const search = searchParams.size > 0 ? `?${String(searchParams).replaceAll("+", "%20")}` : "";
      const path = `${prefix}${pathname === "/" ? "" : pathname}${search}`;
      const method = request.method ?? "GET";
      const signed = await sign({ method, url: new URL(path, base), body }).catch((error: Error) => {
        throw serviceUnavailable(`the request could not be signed: ${error.message}`);
      });
      const options: RequestOptions = {
        method,
        hostname: base.hostname,
        port: base.port,
        path,
        headers: {
          ...headersOf(request),
          ...(body.length > 0 ? { "content-length": String(body.length) } : {}),
          ...more,
          ...signed,
        },
      };
      return new Promise((resolve, reject) => {
        const sent = isSecure ? secure({ ...options, agent }, resolve) : plain(options, resolve);
        const leave = () => sent.destroy();
        request.socket.once("close", leave);
        sent.once("close", () => request.socket.off("close", leave));
        sent.once("error", (error) => reject(serviceUnavailable(`the cluster did not answer: ${error.message}`)));
        sent.end(body);
      });
    },
    close: () => agent.destroy(),
  };
}

function headersOf({ rawHeaders }: IncomingMessage): Record<string, string[]> {
  const headers: Record<string, string[]> = {};
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!.toLowerCase();
    // Impersonated groups arrive as repeated headers.
    if (!isOwn(name)) headers[name] = [...(headers[name] ?? []), rawHeaders[at + 1]!];
  }
  return headers;
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > largestBody) throw requestEntityTooLarge(`limit is ${largestBody}`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** The headers of a response to the client; those that API Gateway has renamed get their names back. */
export function answerHeaders({ rawHeaders, headers }: IncomingMessage): string[] {
  const kept: string[] = [];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const given = rawHeaders[at]!;
    const name = given.replace(/^x-amzn-remapped-/i, "");
    if (name !== given && headers[name.toLowerCase()] !== undefined) continue;
    if (isOwn(name.toLowerCase()) && name.toLowerCase() !== "content-length") continue;
    kept.push(name, rawHeaders[at + 1]!);
  }
  return kept;
}
