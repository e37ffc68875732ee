import { createServer, type Server, type ServerResponse } from "node:http";
import { type Log, messageOf } from "#base";
import { type PortChange, type ProxyPort, portKey } from "./model.ts";

export interface HealthCheckOptions {
  log: Log;
  /** Whether the rules of this node are up to date. */
  isHealthy(): boolean;
  /** Called once when a port cannot be opened, with `namespace/name` of the service. */
  failed(service: string, message: string): void;
  nodeName: string;
  /** The address to listen on. Defaults to all of the machine. */
  address?: string | undefined;
}

interface Listening {
  port: number;
  server: Server;
}

/**
 * The health check node ports of services with externalTrafficPolicy Local: an HTTP server for each, which answers 200
 * while this node has ready endpoints of the service, else 503. Answers and events are upstream's (proxy/healthcheck).
 */
export class HealthChecks {
  readonly #options: HealthCheckOptions;
  readonly #ports = new Map<string, ProxyPort>();
  readonly #servers = new Map<string, Listening>();
  /** Ports that could not be opened, by service. */
  readonly #refused = new Map<string, number>();

  constructor(options: HealthCheckOptions) {
    this.#options = options;
  }

  /** Opens and closes ports after changes. A port that could not be opened is tried again. */
  async sync(changes: readonly PortChange[]): Promise<void> {
    for (const { before, after } of changes) {
      if (before) this.#ports.delete(portKey(before));
      if (after && after.healthCheckNodePort !== 0) this.#ports.set(portKey(after), after);
    }
    const wanted = new Map([...this.#ports.values()].map((port) => [port.service, port.healthCheckNodePort]));
    for (const [service, port] of this.#refused) if (wanted.get(service) !== port) this.#refused.delete(service);
    for (const [service, { port, server }] of this.#servers) {
      if (wanted.get(service) === port) continue;
      this.#servers.delete(service);
      await close(server);
    }
    for (const [service, port] of wanted) if (!this.#servers.has(service)) await this.#open(service, port);
  }

  async stop(): Promise<void> {
    const servers = [...this.#servers.values()];
    this.#servers.clear();
    await Promise.all(servers.map(({ server }) => close(server)));
  }

  async #open(service: string, port: number): Promise<void> {
    const { address = "0.0.0.0", log, failed, nodeName } = this.#options;
    const server = createServer((_request, response) => this.#answer(service, response));
    try {
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen(port, address, resolve);
      });
      server.on("error", (error) => log.warn("a health check port has failed", { service, error: messageOf(error) }));
      this.#servers.set(service, { port, server });
      this.#refused.delete(service);
    } catch (error) {
      if (this.#refused.get(service) === port) return;
      this.#refused.set(service, port);
      const message = `node ${nodeName} failed to start healthcheck "${service}" on port ${port}: ${messageOf(error)}`;
      log.warn("a health check port could not be opened", { service, port, error: messageOf(error) });
      failed(service, message);
    }
  }

  #answer(service: string, response: ServerResponse): void {
    const [namespace, name] = service.split("/");
    const ports = [...this.#ports.values()].filter((port) => port.service === service);
    const localEndpoints = new Set(ports.flatMap(({ localReady }) => localReady)).size;
    const serviceProxyHealthy = this.#options.isHealthy();
    response.writeHead(localEndpoints > 0 && serviceProxyHealthy ? 200 : 503, {
      "content-type": "application/json",
      "x-content-type-options": "nosniff",
      "x-load-balancing-endpoint-weight": localEndpoints,
    });
    response.end(JSON.stringify({ service: { namespace, name }, localEndpoints, serviceProxyHealthy }, null, "\t"));
  }
}

function close(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}
