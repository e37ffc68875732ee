import { type Service, services } from "#api";
import { aborted, type Log, systemClock } from "#base";
import { type Client, type Informer, startInformer } from "#client";
import type { Component, Running } from "./components.ts";

export interface ServiceListOptions {
  client: Client;
  log: Log;
  /** Ends the wait for the first list. */
  signal: AbortSignal;
}

/** The cluster's services, for all nodes of the process. It has started once they are known. */
export class ServiceList implements Component {
  readonly name = "services";
  readonly #options: ServiceListOptions;
  #informer: Informer<Service> | undefined;

  constructor(options: ServiceListOptions) {
    this.#options = options;
  }

  async start(): Promise<Running> {
    const { client, log, signal } = this.#options;
    const informer = startInformer<Service>({ client, kind: services, clock: systemClock, log });
    this.#informer = informer;
    await Promise.race([informer.ready, aborted(signal)]);
    return informer;
  }

  inNamespace(namespace: string): Service[] {
    return [...(this.#informer?.all() ?? [])].filter(({ metadata }) => metadata.namespace === namespace);
  }
}
