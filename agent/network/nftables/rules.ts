import { createHash } from "node:crypto";
import { reachable } from "../categorize.ts";
import type { Endpoint } from "../endpoints.ts";
import type { ProxyPort } from "../model.ts";
import { isWithin, withoutNested } from "../service-port.ts";
import { type ContainerName, masqueradeMark, pickLimit } from "./setup.ts";

/** One element of a set or a map. */
export interface Element {
  container: ContainerName;
  key: string;
  /** Absent in sets. */
  value?: string;
}

/** The rules of one service port. */
export interface Rules {
  elements: Element[];
  /** Chains of its own, by name. */
  chains: ReadonlyMap<string, readonly string[]>;
  /** Sets of clients with affinity, one for each endpoint: the definition by name. */
  sets: ReadonlyMap<string, string>;
}

export interface RuleOptions {
  family: "IPv4" | "IPv6";
  podCidr?: string | undefined;
  /** This node's own address, for source ranges that contain it. */
  nodeIp?: string | undefined;
}

const mark = `meta mark set meta mark or ${masqueradeMark}`;

/** The port's part of chain names: a readable name, made unique by a hash as upstream's hashAndTruncate. */
function nameOf({ service, portName, protocol }: ProxyPort, suffix = ""): string {
  const name = `${service}/${protocol.toLowerCase()}/${portName}${suffix}`;
  const hash = createHash("sha256").update(name).digest("hex").slice(0, 8);
  return `${hash}-${name}`.slice(0, 200);
}

/**
 * The rules of one service port, after upstream's syncProxyRules. A port without affinity, source ranges and policy
 * Local is elements only; its frontends share the chains pick-N and node-port-N.
 */
export function rulesOf(port: ProxyPort, options: RuleOptions): Rules {
  const rules = new PortRules(port, options);
  rules.addEndpoints();
  rules.addClusterIp();
  for (const ip of [...port.externalIPs, ...port.loadBalancerIPs]) rules.addExternal(ip);
  rules.addSourceRanges();
  if (port.nodePort !== 0) rules.addNodePort();
  return rules;
}

class PortRules implements Rules {
  readonly elements: Element[] = [];
  readonly chains = new Map<string, readonly string[]>();
  readonly sets = new Map<string, string>();
  readonly #port: ProxyPort;
  readonly #options: RuleOptions;
  readonly #ip: "ip" | "ip6";
  readonly #protocol: string;

  constructor(port: ProxyPort, options: RuleOptions) {
    this.#port = port;
    this.#options = options;
    this.#ip = options.family === "IPv4" ? "ip" : "ip6";
    this.#protocol = port.protocol.toLowerCase();
  }

  addEndpoints(): void {
    for (const { ip, port, isLocal } of reachable(this.#port)) {
      if (isLocal) this.#add("hairpin-connections", `${ip} . ${ip} . ${this.#protocol} . ${port}`);
    }
  }

  addClusterIp(): void {
    const { clusterIP, internalLocal, cluster, local, hasAny } = this.#port;
    this.#add("cluster-ips", clusterIP);
    const frontend = this.#frontend(clusterIP);
    const endpoints = internalLocal ? local : cluster;
    if (endpoints.length === 0) this.#add("no-endpoint-services", frontend, hasAny ? "drop" : "goto refuse");
    else this.#dispatch(frontend, endpoints, internalLocal ? "local" : "cluster");
  }

  addExternal(ip: string): void {
    const { externalLocal, cluster, hasAny } = this.#port;
    const frontend = this.#frontend(ip);
    if (!this.#hasExternal()) this.#add("no-endpoint-services", frontend, hasAny ? "drop" : "goto refuse");
    if (!hasAny) return;
    if (externalLocal || this.#needsChain(cluster)) {
      this.#add("services", frontend, this.#externalChain());
      return;
    }
    this.#add("masqueraded", frontend);
    this.#dispatch(frontend, cluster, "cluster");
  }

  addNodePort(): void {
    const { externalLocal, cluster, hasAny, nodePort } = this.#port;
    const frontend = `${this.#protocol} . ${nodePort}`;
    if (!this.#hasExternal()) this.#add("no-endpoint-node-ports", frontend, hasAny ? "drop" : "goto refuse");
    if (!hasAny) return;
    if (externalLocal || this.#needsChain(cluster)) {
      this.#add("node-ports", frontend, this.#externalChain());
      return;
    }
    this.#add("node-ports", frontend, `goto node-port-${cluster.length}`);
    for (const [index, { ip, port }] of cluster.entries())
      this.#add("node-port-endpoints", `${frontend} . ${index}`, `${ip} . ${port}`);
  }

  /** Drops packets to the load balancer's addresses from elsewhere than the service's source ranges. */
  addSourceRanges(): void {
    const { sourceRanges, loadBalancerIPs } = this.#port;
    if (sourceRanges.length === 0 || loadBalancerIPs.length === 0) return;
    const { nodeIp } = this.#options;
    // The node's own requests may have the load balancer's address as their source.
    const own = nodeIp !== undefined && isWithin(sourceRanges, nodeIp) ? loadBalancerIPs : [];
    const chain = `firewall-${nameOf(this.#port)}`;
    // Overlapping blocks are no error of the service, but would be one of nft.
    const blocks = withoutNested([...sourceRanges, ...own]).join(", ");
    this.chains.set(chain, [`${this.#ip} saddr != { ${blocks} } drop`]);
    for (const ip of loadBalancerIPs) this.#add("source-ranges", this.#frontend(ip), `goto ${chain}`);
  }

  #add(container: ContainerName, key: string, value?: string): void {
    this.elements.push(value === undefined ? { container, key } : { container, key, value });
  }

  #frontend(ip: string): string {
    return `${ip} . ${this.#protocol} . ${this.#port.port}`;
  }

  #hasExternal(): boolean {
    const { externalLocal, local, hasAny } = this.#port;
    return externalLocal ? local.length > 0 : hasAny;
  }

  #needsChain(endpoints: readonly Endpoint[]): boolean {
    return this.#port.affinitySeconds > 0 || endpoints.length > pickLimit;
  }

  /** Sends a frontend's packets to one of the endpoints. */
  #dispatch(frontend: string, endpoints: readonly Endpoint[], policy: "cluster" | "local"): void {
    if (this.#needsChain(endpoints)) {
      this.#add("services", frontend, `goto ${this.#policyChain(endpoints, policy)}`);
      return;
    }
    this.#add("services", frontend, `goto pick-${endpoints.length}`);
    for (const [index, { ip, port }] of endpoints.entries())
      this.#add("endpoints", `${frontend} . ${index}`, `${ip} . ${port}`);
  }

  /** The chain of traffic from outside, which has the short cuts of traffic from this node; as a verdict. */
  #externalChain(): string {
    const chain = `external-${nameOf(this.#port)}`;
    if (this.chains.has(chain)) return `goto ${chain}`;
    const { externalLocal, cluster, local } = this.#port;
    const { podCidr } = this.#options;
    const toCluster = `goto ${this.#policyChain(cluster, "cluster")}`;
    this.chains.set(
      chain,
      externalLocal
        ? [
            ...(podCidr === undefined ? [] : [`${this.#ip} saddr ${podCidr} ${toCluster}`]),
            `fib saddr type local ${mark}`,
            `fib saddr type local ${toCluster}`,
            ...(local.length > 0 ? [`goto ${this.#policyChain(local, "local")}`] : []),
          ]
        : [mark, toCluster],
    );
    return `goto ${chain}`;
  }

  /** The name of the port's own chain that chooses one of the endpoints. */
  #policyChain(endpoints: readonly Endpoint[], policy: "cluster" | "local"): string {
    const chain = `${policy}-${nameOf(this.#port)}`;
    if (this.chains.has(chain)) return chain;
    const random = `numgen random mod ${endpoints.length}`;
    if (this.#port.affinitySeconds === 0) {
      const choices = endpoints.map(({ ip, port }, index) => `${index} : ${ip} . ${port}`).join(", ");
      this.chains.set(chain, [
        `meta l4proto ${this.#protocol} dnat ${this.#ip} addr . port to ${random} map { ${choices} }`,
      ]);
      return chain;
    }
    const names = endpoints.map((endpoint) => this.#endpointChain(endpoint));
    const known = names.map((name) => `${this.#ip} saddr @${this.#affinitySet(name)} goto endpoint-${name}`);
    const choices = names.map((name, index) => `${index} : goto endpoint-${name}`).join(", ");
    this.chains.set(chain, [...known, `${random} vmap { ${choices} }`]);
    return chain;
  }

  /** The chain of an endpoint with affinity, which notes the client; returns the name without its prefix. */
  #endpointChain({ ip, port }: Endpoint): string {
    const name = nameOf(this.#port, `__${ip.replaceAll(":", ".")}/${port}`);
    const address = this.#options.family === "IPv4" ? "ipv4_addr" : "ipv6_addr";
    const target = this.#options.family === "IPv4" ? `${ip}:${port}` : `[${ip}]:${port}`;
    const set = this.#affinitySet(name);
    this.sets.set(set, `{ type ${address}; flags dynamic, timeout; timeout ${this.#port.affinitySeconds}s; }`);
    this.chains.set(`endpoint-${name}`, [
      `update @${set} { ${this.#ip} saddr }`,
      `meta l4proto ${this.#protocol} dnat to ${target}`,
    ]);
    return name;
  }

  /** The timeout of a set cannot be changed: with another one it is another set. */
  #affinitySet(name: string): string {
    return `affinity-${this.#port.affinitySeconds}-${name}`;
  }
}
