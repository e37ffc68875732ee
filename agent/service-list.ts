import { type EndpointSlice, endpointSlices, type Kind, type KubernetesObject, type Service, services } from "#api";
import { aborted, type Log, systemClock } from "#base";
import { type Client, type Informer, startInformer } from "#client";
import type { Component, Running } from "./components.ts";

export interface ServiceListOptions {
  client: Client;
  log: Log;
  /** Whether endpoint slices are followed too: nodes without a network do not need them. */
  withSlices: boolean;
  /** Ends the wait for the first list. */
  signal: AbortSignal;
}

/** A change of a service or of an endpoint slice. */
export type ServiceChange =
  | { kind: "Service"; object: Service; isDeleted: boolean }
  | { kind: "EndpointSlice"; object: EndpointSlice; isDeleted: boolean };

/** The cluster's services and their endpoint slices, for all nodes of the process. It has started once they are known. */
export class ServiceList implements Component {
  readonly name = "services";
  readonly #options: ServiceListOptions;
  readonly #listeners = new Set<(change: ServiceChange) => void>();
  #services: Informer<Service> | undefined;
  #slices: Informer<EndpointSlice> | undefined;

  constructor(options: ServiceListOptions) {
    this.#options = options;
  }

  async start(): Promise<Running> {
    const { signal, withSlices } = this.#options;
    const list = this.#inform(services, (object, isDeleted) => this.#tell({ kind: "Service", object, isDeleted }));
    const slices = withSlices
      ? this.#inform(endpointSlices, (object, isDeleted) => this.#tell({ kind: "EndpointSlice", object, isDeleted }))
      : undefined;
    this.#services = list;
    this.#slices = slices;
    await Promise.race([Promise.all([list.ready, slices?.ready]), aborted(signal)]);
    return {
      stop: async () => {
        await Promise.all([list.stop(), slices?.stop()]);
      },
    };
  }

  inNamespace(namespace: string): Service[] {
    return [...this.services()].filter(({ metadata }) => metadata.namespace === namespace);
  }

  services(): Iterable<Service> {
    return this.#services?.all() ?? [];
  }

  slices(): Iterable<EndpointSlice> {
    return this.#slices?.all() ?? [];
  }

  /**
   * Calls the listener for every later change, after the lists hold it. Returns a function that ends that. A listener
   * that starts with the lists as they are misses nothing.
   */
  follow(listener: (change: ServiceChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #inform<T extends KubernetesObject>(kind: Kind<T>, changed: (object: T, isDeleted: boolean) => void): Informer<T> {
    const { client, log } = this.#options;
    return startInformer<T>({
      client,
      kind,
      clock: systemClock,
      log,
      changed: ({ type, object }) => changed(object, type === "DELETED"),
    });
  }

  #tell(change: ServiceChange): void {
    for (const listener of this.#listeners) listener(change);
  }
}
