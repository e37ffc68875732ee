import { DnsServer, ForwardCache, Forwarder, hostResolvConf, Resolver, type ServerAddress, Zone } from "#agent/dns";
import type { Redirects } from "#agent/network";
import { type Namespace, namespaces, parseIp } from "#api";
import { aborted, type Clock, type Log, type Random } from "#base";
import { type Client, startInformer } from "#client";
import type { Component, Running } from "./components.ts";
import type { ServiceChange, ServiceList } from "./service-list.ts";

export interface ClusterDnsOptions {
  client: Client;
  services: ServiceList;
  /** The node's own address in the pod network. */
  address: string;
  clock: Clock;
  random: Random;
  log: Log;
  /** Ends the wait for the first lists. */
  signal: AbortSignal;
  /** Whether the node's service proxy sends the traffic of the DNS service here. */
  isProxied: boolean;
  /** The port of the server when it is free. Defaults to 53. */
  port?: number;
  /** The file with the servers for names outside of the cluster. Defaults to the host's resolv.conf. */
  resolvConf?: string | undefined;
}

/** The cluster's domain. */
export const clusterDomain = "cluster.local";

/** The service that clients look for. */
const service = { namespace: "kube-system", name: "kube-dns" };

const serviceKey = `${service.namespace}/${service.name}`;

const dnsPort = 53;

/** Cluster DNS on its node. It has started once it knows the cluster's services and answers. */
export class ClusterDns implements Component {
  readonly name = "cluster DNS";
  readonly domain = clusterDomain;
  readonly #options: ClusterDnsOptions;
  #server: DnsServer | undefined;

  constructor(options: ClusterDnsOptions) {
    this.#options = options;
  }

  /** The service's ports are redirected to the server, where the node has a service proxy. */
  async start(redirects?: Redirects): Promise<Running> {
    const { client, services, address, clock, random, log, signal, port } = this.#options;
    const zone = new Zone({
      domain: clusterDomain,
      addresses: [address],
      service: serviceKey,
      now: () => Math.floor(clock.now() / 1000),
    });
    const unfollow = services.follow((change) => applyChange(zone, change));
    for (const object of services.services()) zone.setService(object);
    for (const object of services.slices()) zone.setSlice(object);
    const informer = startInformer<Namespace>({
      client,
      kind: namespaces,
      clock,
      log,
      changed: ({ type, object: { metadata } }) => {
        if (type === "DELETED") zone.deleteNamespace(metadata.name ?? "");
        else zone.setNamespace(metadata.name ?? "");
      },
    });
    const stop = async (): Promise<void> => {
      unfollow();
      await Promise.all([informer.stop(), this.#server?.stop()]);
    };
    try {
      await Promise.race([informer.ready, aborted(signal)]);
      const exchange = new Forwarder({ clock, random, log, servers: () => this.#upstream() }).forward;
      const resolver = new Resolver(zone, new ForwardCache({ clock, exchange }).forward);
      this.#server = await DnsServer.start({ resolver, clock, log, address, ...(port === undefined ? {} : { port }) });
    } catch (error) {
      await stop();
      throw error;
    }
    const listener = { address, port: this.#server.port };
    redirects?.set(serviceKey, { "53/UDP": listener, "53/TCP": listener });
    log.info("cluster DNS answers", { address, port: this.#server.port });
    return { stop };
  }

  /** Where the server listens; undefined before it has started. */
  get listener(): ServerAddress | undefined {
    return this.#server && { address: this.#server.address, port: this.#server.port };
  }

  /**
   * The addresses for pods' resolv.conf: the service's where the node's proxy redirects it, else the server's own. None
   * when pods cannot reach the server: resolvers use port 53 only.
   */
  servers(): string[] {
    if (this.#options.isProxied) return this.#serviceAddresses();
    return this.listener?.port === dnsPort ? [this.listener.address] : [];
  }

  #serviceAddresses(): string[] {
    const { services } = this.#options;
    const found = services.inNamespace(service.namespace).find(({ metadata }) => metadata.name === service.name);
    return (found?.spec?.clusterIPs ?? []).filter((address) => parseIp(address)?.version === 4);
  }

  /** The upstream servers, without this one: a question must not come back. */
  async #upstream(): Promise<ServerAddress[]> {
    const own = new Set([this.#options.address, ...this.#serviceAddresses()]);
    const { servers } = await hostResolvConf(this.#options.resolvConf);
    return servers.filter((address) => !own.has(address)).map((address) => ({ address, port: dnsPort }));
  }
}

function applyChange(zone: Zone, { kind, object, isDeleted }: ServiceChange): void {
  if (kind === "Service") {
    if (isDeleted) zone.deleteService(object);
    else zone.setService(object);
  } else if (isDeleted) zone.deleteSlice(object);
  else zone.setSlice(object);
}
