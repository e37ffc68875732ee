import { Agent, type IncomingMessage, request as plain, type RequestOptions, type ServerResponse } from "node:http";
import { Agent as SecureAgent, request as secure } from "node:https";
import { requestHeaders, responseHeaders } from "#aws/http";
import { badRequest, serviceUnavailable } from "#base";

export interface UpstreamOptions {
  /** The API's URL, with the path of its stage. */
  server: string;
  /** The CA of its certificate, in PEM. Absent: the CAs that the machine trusts. */
  ca?: string | undefined;
}

/** Idle connections are closed before API Gateway closes them. */
const idleMilliseconds = 60_000;

/** The API outside the node, as pods' requests reach it. Bodies are streamed in both directions. */
export class Upstream {
  readonly #base: URL;
  readonly #prefix: string;
  readonly #agent: Agent;

  constructor({ server, ca }: UpstreamOptions) {
    this.#base = new URL(server);
    this.#prefix = this.#base.pathname.replace(/\/+$/, "");
    const settings = { keepAlive: true, timeout: idleMilliseconds };
    this.#agent =
      this.#base.protocol === "https:"
        ? new SecureAgent({ ...settings, ...(ca === undefined ? {} : { ca }) })
        : new Agent(settings);
  }

  /**
   * Passes a request on with its own credentials, and its answer back. A client that disconnects ends the request.
   * Throws ApiError 400 for a request that has no path, and 503 when the API does not answer.
   */
  async pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const answer = await this.send(request, response);
    if (response.destroyed) {
      answer.destroy();
      return;
    }
    response.writeHead(answer.statusCode ?? 502, responseHeaders(answer));
    response.flushHeaders();
    // An answer that is cut short must not end cleanly.
    answer.once("error", () => response.destroy());
    answer.once("aborted", () => response.destroy());
    answer.pipe(response);
  }

  /** Sends a request. `client` is what ends it when it closes; `more` are headers besides the client's. */
  async send(
    request: IncomingMessage,
    client: {
      destroyed: boolean;
      once(event: "close", run: () => void): unknown;
      off(event: "close", run: () => void): unknown;
    },
    more: Record<string, string> = {},
  ): Promise<IncomingMessage> {
    const options = this.#optionsOf(request, more);
    const hasBody = framing(request) !== undefined;
    // A connection may be closed from outside just as it is used again. Only what has no body can be sent twice.
    const isRepeatable = !hasBody && ["GET", "HEAD"].includes(options.method ?? "");
    return this.#attempt(options, { request, client, hasBody, attempts: isRepeatable ? 2 : 1 });
  }

  close(): void {
    this.#agent.destroy();
  }

  #optionsOf(request: IncomingMessage, more: Record<string, string>): RequestOptions {
    const { protocol, hostname, port } = this.#base;
    return {
      method: request.method ?? "GET",
      protocol,
      hostname: hostname.replace(/^\[|\]$/g, ""),
      port,
      path: `${this.#prefix}${targetOf(request)}`,
      headers: { ...apiHeaders(request), ...framing(request), ...more },
      agent: this.#agent,
    };
  }

  #attempt(options: RequestOptions, { request, client, hasBody, attempts }: Attempt): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const sent = this.#base.protocol === "https:" ? secure(options) : plain(options);
      const leave = () => sent.destroy();
      client.once("close", leave);
      sent.once("close", () => client.off("close", leave));
      sent.once("response", (answer) => {
        // The rest of a body that is not read any more must not occupy the client's connection.
        answer.once("close", () => {
          request.unpipe(sent);
          request.resume();
        });
        resolve(answer);
      });
      sent.on("error", (error: NodeJS.ErrnoException) => {
        const isStale = sent.reusedSocket && error.code === "ECONNRESET";
        if (isStale && attempts > 1 && !client.destroyed) {
          resolve(this.#attempt(options, { request, client, hasBody, attempts: attempts - 1 }));
        } else reject(serviceUnavailable(`the cluster did not answer: ${error.message}`));
      });
      if (client.destroyed) return leave();
      if (hasBody) request.pipe(sent);
      else sent.end();
    });
  }
}

interface Attempt {
  request: IncomingMessage;
  client: Parameters<Upstream["send"]>[1];
  hasBody: boolean;
  attempts: number;
}

/** The path and the query. Throws ApiError 400 for a target without a path, such as `*`. */
function targetOf({ url = "" }: IncomingMessage): string {
  if (url.startsWith("/")) return url === "/" ? "" : url;
  if (!URL.canParse(url)) throw badRequest("the request has no path");
  const { pathname, search } = new URL(url);
  return `${pathname}${search}`;
}

/** The client's headers without those between parts of a cluster. */
const apiHeaders = (request: IncomingMessage): Record<string, string[]> =>
  Object.fromEntries(Object.entries(requestHeaders(request)).filter(([name]) => !name.startsWith("x-skiff-")));

/** How the end of the body is known; undefined without a body. */
function framing({ headers }: IncomingMessage): Record<string, string> | undefined {
  if (headers["transfer-encoding"] !== undefined) return { "transfer-encoding": "chunked" };
  const length = headers["content-length"];
  return length === undefined ? undefined : { "content-length": length };
}
