import type { Protocol } from "./service-port.ts";

/** A listener of this node. */
export interface Listener {
  /** Not a loopback address, which pods do not reach. A UDP listener is bound to it, so that answers come from it. */
  address: string;
  port: number;
}

/** Listeners by a service's port number and protocol. */
export type RedirectedPorts = Partial<Record<`${number}/${Protocol}`, Listener>>;

/**
 * Services that a node answers itself: packets to their ports go to listeners of the node instead of to their
 * endpoints, from pods and from the node, at all addresses of the service. Each node has one, which components share.
 * They register when they listen, before or after the service proxy starts, and whether or not the service exists yet:
 *
 *     redirects.set("kube-system/kube-dns", { "53/UDP": listener, "53/TCP": listener });
 *
 * Ports that are not named keep their endpoints. `isServed` says whether a proxy applies them on this node.
 */
export class Redirects {
  /** False until the service proxy has started, and where the proxy mode is none: services are not redirected then. */
  isServed = false;
  readonly #services = new Map<string, RedirectedPorts>();
  readonly #listeners = new Set<(service: string) => void>();

  /** Sends the packets of a service, named as `namespace/name`, to these listeners; earlier ones are replaced. */
  set(service: string, ports: RedirectedPorts): void {
    this.#services.set(service, ports);
    for (const listener of this.#listeners) listener(service);
  }

  /** The service has its endpoints again. */
  delete(service: string): void {
    if (!this.#services.delete(service)) return;
    for (const listener of this.#listeners) listener(service);
  }

  find(service: string, port: number, protocol: Protocol): Listener | undefined {
    return this.#services.get(service)?.[`${port}/${protocol}`];
  }

  /** Calls the listener with the name of each service that changes. Returns a function that ends that. */
  follow(listener: (service: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
