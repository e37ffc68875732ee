import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import type { Listener, Redirects } from "#agent/network";
import { type Log, messageOf } from "#base";
import { apiService, keepAliveMilliseconds, listenOn, maxConnections } from "./listen.ts";

export interface ApiRelayOptions {
  /** The address on which pods of this node reach the relay. */
  address: string;
  /** The API server's URL, without a path. */
  server: string;
  log: Log;
}

const service = `${apiService.namespace}/${apiService.name}`;

/**
 * Passes pods' TCP connections on to the API server, which may listen where pods cannot reach it, such as on the
 * machine's loopback. TLS is between the pod and the API server: the node sees ciphertext only.
 */
export class ApiRelay {
  readonly #options: ApiRelayOptions;
  readonly #sockets = new Set<Socket>();
  #listening: Listener;

  constructor(options: ApiRelayOptions) {
    this.#options = options;
    this.#listening = { address: options.address, port: 0 };
  }

  /** Where it listens, once it has started. */
  get listening(): Listener {
    return this.#listening;
  }

  /** The API's service is redirected to the relay, where the node has a service proxy. */
  async start(redirects?: Redirects): Promise<{ stop(): Promise<void> }> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket));
    server.maxConnections = maxConnections;
    this.#listening = await listenOn(server, this.#options.address);
    server.on("error", (error) =>
      this.#options.log.warn("pods' connections to the API were not accepted", { error: messageOf(error) }),
    );
    redirects?.set(service, { "443/TCP": this.listening });
    return {
      stop: async () => {
        redirects?.delete(service);
        const closed = once(server, "close");
        server.close();
        for (const socket of this.#sockets) socket.resetAndDestroy();
        await closed;
      },
    };
  }

  #accept(inside: Socket): void {
    const { hostname, port } = new URL(this.#options.server);
    const outside = connect({
      host: hostname.replace(/^\[|\]$/g, ""),
      port: Number(port) || 443,
      allowHalfOpen: true,
      noDelay: true,
    });
    const [near, far] = [this.#hold(inside, outside), this.#hold(outside, inside)];
    near.pipe(far);
    far.pipe(near);
  }

  /** Keeps the socket until it has closed. When it breaks, the other one is reset: its peer must not see a clean end. */
  #hold(socket: Socket, other: Socket): Socket {
    this.#sockets.add(socket);
    socket.setKeepAlive(true, keepAliveMilliseconds);
    socket.on("error", () => other.resetAndDestroy());
    socket.on("close", () => {
      this.#sockets.delete(socket);
      if (!other.writableEnded) other.resetAndDestroy();
    });
    return socket;
  }
}
