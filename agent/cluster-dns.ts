import { DnsServer, ForwardCache, Forwarder, hostResolvConf, Resolver, type ServerAddress, Zone } from "#agent/dns";
import type { Redirects } from "#agent/network";
import { type Namespace, namespaces, parseIp, type Service } from "#api";
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
  /** Where the service's ports are sent to the server, if the node has a service proxy. */
  redirects: Redirects;
  /** The port of the server when it is free. Defaults to 53. */
  port?: number;
  /** The file with the servers for names outside of the cluster. Defaults to the host's resolv.conf. */
  resolvConf?: string | undefined;
}

/** The cluster's domain. */
export const clusterDomain = "cluster.local";

const serviceKey = "kube-system/kube-dns";

const dnsPort = 53;

/** Cluster DNS on its node. It has started once it knows the cluster's services and answers. */
export class ClusterDns implements Component {
  readonly name = "cluster DNS";
  readonly domain = clusterDomain;
  readonly #options: ClusterDnsOptions;
  #server: DnsServer | undefined;
  /** The service that clients look for. */
  #service: Service | undefined;

  constructor(options: ClusterDnsOptions) {
    this.#options = options;
  }

  async start(): Promise<Running> {
    const { client, services, address, clock, random, log, signal, port } = this.#options;
    const zone = new Zone({
      domain: clusterDomain,
      addresses: [address],
      service: serviceKey,
      now: () => Math.floor(clock.now() / 1000),
    });
    const unfollow = services.follow((change) => this.#apply(zone, change));
    for (const object of services.services()) this.#apply(zone, { kind: "Service", object, isDeleted: false });
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
    this.#redirect();
    log.info("cluster DNS answers", { address, port: this.#server.port });
    return { stop };
  }

  /** Where the server listens; undefined before it has started. */
  get listener(): ServerAddress | undefined {
    return this.#server && { address: this.#server.address, port: this.#server.port };
  }

  /**
   * The addresses for pods' resolv.conf: the service's where the node has a proxy, else the server's own. None when pods
   * cannot reach the server: resolvers use port 53 only.
   */
  servers(): string[] {
    const addresses = this.#options.redirects.isServed ? this.#serviceAddresses() : [];
    if (addresses.length > 0) return addresses;
    return this.listener?.port === dnsPort ? [this.listener.address] : [];
  }

  #apply(zone: Zone, { kind, object, isDeleted }: ServiceChange): void {
    if (kind === "EndpointSlice") {
      if (isDeleted) zone.deleteSlice(object);
      else zone.setSlice(object);
      return;
    }
    if (isDeleted) zone.deleteService(object);
    else zone.setService(object);
    if (`${object.metadata.namespace}/${object.metadata.name}` !== serviceKey) return;
    this.#service = isDeleted ? undefined : object;
    this.#redirect();
  }

  /** A service with a selector has DNS servers of the cluster's own, as pods: it leads to them. */
  #redirect(): void {
    const { listener } = this;
    if (!listener) return;
    const { redirects } = this.#options;
    if (Object.keys(this.#service?.spec?.selector ?? {}).length > 0) redirects.delete(serviceKey);
    else redirects.set(serviceKey, { "53/UDP": listener, "53/TCP": listener });
  }

  #serviceAddresses(): string[] {
    return (this.#service?.spec?.clusterIPs ?? []).filter((address) => parseIp(address)?.version === 4);
  }

  /** The upstream servers, without this one: a question must not come back. */
  async #upstream(): Promise<ServerAddress[]> {
    const own = new Set([this.#options.address, ...this.#serviceAddresses()]);
    const { servers } = await hostResolvConf(this.#options.resolvConf);
    return servers.filter((address) => !own.has(address)).map((address) => ({ address, port: dnsPort }));
  }
}
