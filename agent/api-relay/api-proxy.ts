import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { Socket } from "node:net";
import type { Listener, Redirects } from "#agent/network";
import { type ApiError, internalError, isApiError, type Log, messageOf, tooManyRequests } from "#base";
import { apiService, keepAliveMilliseconds, listenOn, maxConnections } from "./listen.ts";
import { Places } from "./places.ts";
import { keepServingCertificate, type ServingCertificateOptions } from "./serving-certificate.ts";
import { Upstream } from "./upstream.ts";

export interface ApiProxyOptions {
  /** The address on which pods of this node reach the proxy. */
  address: string;
  /** The API's URL for bearer tokens, with the path of its stage. */
  server: string;
  /** The CA of its certificate, in PEM. Absent: the CAs that the machine trusts. */
  ca?: string | undefined;
  certificate: ServingCertificateOptions;
  log: Log;
}

const service = `${apiService.namespace}/${apiService.name}`;

/** Connections and requests at a time of all pods, and of one address. */
const connectionLimits = { total: maxConnections, each: 512 };
const requestLimits = { total: 2048, each: 256 };
/** Requests that a client has sent on one connection before their answers. */
const mostPipelined = 16;
/** Milliseconds. client-go closes idle connections after as long. */
const idleMilliseconds = 90_000;
const handshakeMilliseconds = 10_000;

/**
 * Answers pods at the address of the API's service, with a certificate of the cluster's authority for this node, and
 * passes their requests on: for an API server whose own address has a path, or a name that pods do not know. Each
 * request is authorized by the API server with the credentials that it carries; the node adds none.
 */
export class ApiProxy {
  readonly #options: ApiProxyOptions;
  readonly #upstream: Upstream;
  readonly #sockets = new Set<Socket>();
  readonly #connections = new Places(connectionLimits);
  readonly #requests = new Places(requestLimits);
  readonly #pipelined = new WeakMap<Socket, number>();
  #listening: Listener;

  constructor(options: ApiProxyOptions) {
    this.#options = options;
    this.#upstream = new Upstream(options);
    this.#listening = { address: options.address, port: 0 };
  }

  /** Where it listens, once it has started. */
  get listening(): Listener {
    return this.#listening;
  }

  /**
   * Listens. Pods are redirected to it once the node has its certificate: until then the service has no endpoints, and
   * their connections are refused.
   */
  async start(redirects?: Redirects): Promise<{ stop(): Promise<void> }> {
    const { address, certificate, log } = this.#options;
    const server = createServer({
      ALPNProtocols: ["http/1.1"],
      noDelay: true,
      keepAliveTimeout: idleMilliseconds,
      handshakeTimeout: handshakeMilliseconds,
    });
    server.on("connection", (socket: Socket) => this.#accept(socket));
    server.on("request", (request, response) => this.#answer(request, response));
    this.#listening = await listenOn(server, address);
    server.on("error", (error) =>
      log.warn("pods' connections to the API were not accepted", { error: messageOf(error) }),
    );
    const stopping = new AbortController();
    const keeping = keepServingCertificate(certificate, {
      changed: (changed) => {
        server.setSecureContext(changed);
        redirects?.set(service, { "443/TCP": this.#listening });
      },
      signal: stopping.signal,
    });
    return {
      stop: async () => {
        redirects?.delete(service);
        stopping.abort();
        await this.#close(server);
        await keeping;
      },
    };
  }

  async #close(server: Server): Promise<void> {
    const closed = once(server, "close");
    server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
    this.#upstream.close();
  }

  #accept(socket: Socket): void {
    const address = socket.remoteAddress ?? "";
    if (!this.#connections.take(address)) {
      socket.resetAndDestroy();
      return;
    }
    this.#sockets.add(socket);
    socket.setKeepAlive(true, keepAliveMilliseconds);
    socket.once("close", () => {
      this.#sockets.delete(socket);
      this.#connections.free(address);
    });
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    const address = socket.remoteAddress ?? "";
    const waiting = (this.#pipelined.get(socket) ?? 0) + 1;
    if (waiting > mostPipelined) {
      socket.destroy();
      return;
    }
    this.#pipelined.set(socket, waiting);
    response.once("close", () => this.#pipelined.set(socket, (this.#pipelined.get(socket) ?? 1) - 1));
    if (!this.#requests.take(address)) {
      refuse(response, tooManyRequests("too many requests of this pod at once, please try again later", 1));
      return;
    }
    response.once("close", () => this.#requests.free(address));
    this.#upstream.pass(request, response).catch((error: unknown) => {
      this.#options.log.debug("a pod's request to the API failed", { path: request.url, error: messageOf(error) });
      if (response.headersSent) response.destroy();
      else refuse(response, isApiError(error) ? error : internalError(messageOf(error), error));
    });
  }
}

function refuse(response: ServerResponse, { status, code }: ApiError): void {
  if (response.destroyed) return;
  const pause = status.details?.retryAfterSeconds;
  const headers = { "content-type": "application/json", ...(pause ? { "retry-after": String(pause) } : {}) };
  response.writeHead(code, headers).end(JSON.stringify(status));
}
