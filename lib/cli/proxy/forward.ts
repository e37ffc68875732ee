import { type IncomingMessage, request as plain, type RequestOptions } from "node:http";
import { Agent, request as secure } from "node:https";
import { requestHeaders } from "#aws/http";
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
          ...withoutAuthorization(requestHeaders(request)),
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

/** The signature takes the header's place. */
function withoutAuthorization({ authorization: _, ...rest }: Record<string, string[]>): Record<string, string[]> {
  return rest;
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
