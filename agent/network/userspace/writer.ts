import type { Log } from "#base";
import type { Endpoint } from "../endpoints.ts";
import { type PortChange, type ProxyPort, portKey } from "../model.ts";
import type { RuleWriter } from "../writer.ts";
import { EndpointChoice } from "./endpoints.ts";
import { type Listener, listenTcp, listenUdp } from "./listeners.ts";

export interface UserspaceOptions {
  /** Writes the rules that lead to the listeners. */
  rules: RuleWriter;
  /** The address of the listeners, which pods reach. */
  address: string;
  now(): number;
  log: Log;
}

type Policy = "cluster" | "local";

interface Forwarder {
  choice: EndpointChoice;
  listener: Listener;
}

/**
 * The proxy mode userspace: rules of the kernel lead each service port to a listener of this process, which passes
 * connections on to the endpoints, as kube-proxy did in this mode until v1.25. Listeners end with the process. SCTP is
 * refused.
 */
export class UserspaceWriter implements RuleWriter {
  readonly #options: UserspaceOptions;
  readonly #forwarders = new Map<string, Forwarder>();
  /** Changes that are not applied yet, and those whose listeners are open. */
  readonly #queue: PortChange[] = [];
  readonly #redirected: PortChange[] = [];
  /** Ports as the rules have them. */
  readonly #applied = new Map<string, ProxyPort>();

  constructor(options: UserspaceOptions) {
    this.#options = options;
  }

  /** Applies changes. What a failure leaves over is part of the next sync. */
  async sync(changes: readonly PortChange[]): Promise<void> {
    const closing: Listener[] = [];
    this.#queue.push(...changes);
    for (let change = this.#queue[0]; change; change = this.#queue[0]) {
      const { before, after } = change;
      const key = portKey((after ?? before) as ProxyPort);
      const earlier = this.#applied.get(key);
      const later = after && (await this.#redirect(key, after, closing));
      if (later) this.#applied.set(key, later);
      else {
        this.#applied.delete(key);
        closing.push(...this.#remove(key, "cluster"), ...this.#remove(key, "local"));
      }
      this.#queue.shift();
      this.#redirected.push({ ...(earlier ? { before: earlier } : {}), ...(later ? { after: later } : {}) });
    }
    try {
      await this.#options.rules.sync(this.#redirected.splice(0));
    } finally {
      for (const listener of closing) listener.close();
    }
  }

  invalidate(): void {
    this.#options.rules.invalidate();
  }

  applied(): Iterable<ProxyPort> {
    return this.#applied.values();
  }

  stop(): void {
    for (const { listener } of this.#forwarders.values()) listener.close();
    this.#forwarders.clear();
  }

  /** The port with its listeners as endpoints. */
  async #redirect(key: string, port: ProxyPort, closing: Listener[]): Promise<ProxyPort> {
    if (port.protocol === "SCTP") {
      this.#options.log.warn("the proxy mode userspace does not serve SCTP", { service: port.service });
      return { ...port, cluster: [], local: [], serving: [], hasAny: false };
    }
    const cluster = await this.#listen(key, "cluster", port, closing);
    const local = await this.#listen(key, "local", port, closing);
    const serving = [...cluster, ...local].map(({ ip, port: number }) => `${ip} ${number}`);
    return { ...port, cluster, local, serving, affinitySeconds: 0 };
  }

  async #listen(key: string, policy: Policy, port: ProxyPort, closing: Listener[]): Promise<Endpoint[]> {
    const endpoints = port[policy];
    if (endpoints.length === 0) {
      closing.push(...this.#remove(key, policy));
      return [];
    }
    const { address, log, now } = this.#options;
    let forwarder = this.#forwarders.get(`${key} ${policy}`);
    if (!forwarder) {
      const choice = new EndpointChoice(now);
      const open = port.protocol === "TCP" ? listenTcp : listenUdp;
      forwarder = { choice, listener: await open({ address, choice, log }) };
      this.#forwarders.set(`${key} ${policy}`, forwarder);
    }
    forwarder.choice.set(endpoints, port.affinitySeconds);
    forwarder.listener.refresh();
    const state = { isLocal: true, isReady: true, isServing: true, isTerminating: false };
    return [{ ip: address, port: forwarder.listener.port, ...state }];
  }

  #remove(key: string, policy: Policy): Listener[] {
    const forwarder = this.#forwarders.get(`${key} ${policy}`);
    this.#forwarders.delete(`${key} ${policy}`);
    return forwarder ? [forwarder.listener] : [];
  }
}
