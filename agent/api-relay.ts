import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import type { Redirects } from "#agent/network";
import { type Log, messageOf } from "#base";
import type { Component, Running } from "./components.ts";

export interface ApiRelayOptions {
  /** The address on which pods of this node reach the relay. */
  address: string;
  /** The API server's URL, without a path. */
  server: string;
  log: Log;
}

/** The API's service, as clients in pods find it. */
const service = "default/kubernetes";

/** The port on which the relay listens when it is free. */
const usualPort = 6443;
/** Connections at a time: pods that open more must not take the agent's file descriptors. */
const maxConnections = 4096;
const keepAliveMilliseconds = 30_000;

/**
 * Passes pods' TCP connections on to the API server, which may listen where pods cannot reach it, such as on the
 * machine's loopback. TLS is between the pod and the API server: the node sees ciphertext only.
 */
export class ApiRelay implements Component {
  readonly name = "api relay";
  readonly #options: ApiRelayOptions;
  readonly #sockets = new Set<Socket>();
  #port = 0;

  constructor(options: ApiRelayOptions) {
    this.#options = options;
  }

  /** Where it listens, once it has started. */
  get listening(): { address: string; port: number } {
    return { address: this.#options.address, port: this.#port };
  }

  /** The API's service is redirected to the relay, where the node has a service proxy. */
  async start(redirects?: Redirects): Promise<Running> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket));
    server.maxConnections = maxConnections;
    await this.#listen(server);
    server.on("error", (error) =>
      this.#options.log.warn("pods' connections to the API were not accepted", { error: messageOf(error) }),
    );
    this.#port = (server.address() as AddressInfo).port;
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

  /** Another port is used where the usual one is taken. */
  async #listen(server: Server): Promise<void> {
    const { address } = this.#options;
    try {
      server.listen(usualPort, address);
      await once(server, "listening");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
      server.listen(0, address);
      await once(server, "listening");
    }
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
