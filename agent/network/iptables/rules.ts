import { createHash } from "node:crypto";
import { reachable } from "../categorize.ts";
import type { Endpoint } from "../endpoints.ts";
import type { ProxyPort } from "../model.ts";
import { hasExternalFrontends, isWithin } from "../service-port.ts";

/** Chains that all service ports share. Upstream's names, with `KUBE` as the prefix. */
export type SharedChain =
  | "SERVICES"
  | "EXTERNAL-SERVICES"
  | "NODEPORTS"
  | "POSTROUTING"
  | "MARK-MASQ"
  | "FORWARD"
  | "PROXY-FIREWALL";

/** The rules of one service port, each as arguments after `-A CHAIN`. */
export interface PortRules {
  /** Rules in shared chains of the table `filter`, as pairs of a chain and a rule. */
  filter: (readonly [SharedChain, string])[];
  /** Rules in shared chains of the table `nat`. */
  nat: (readonly [SharedChain, string])[];
  /** Chains of its own in the table `nat`, with their rules. */
  chains: ReadonlyMap<string, readonly string[]>;
}

export interface RuleOptions {
  /** What the names of all chains begin with: `KUBE` upstream, another one for each cluster of a machine here. */
  prefix: string;
  family: "IPv4" | "IPv6";
  podCidr?: string | undefined;
  /** This node's own address, for source ranges that contain it. */
  nodeIp?: string | undefined;
}

/** The last part of a port's chain names: upstream's portProtoHash. */
const hashOf = (text: string): string => base32(createHash("sha256").update(text).digest()).slice(0, 16);

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** The first 80 bits in base 32 (RFC 4648). */
function base32(bytes: Buffer): string {
  let bits = 0n;
  for (const byte of bytes.subarray(0, 10)) bits = (bits << 8n) | BigInt(byte);
  return Array.from({ length: 16 }, (_, index) => alphabet[Number((bits >> BigInt(75 - 5 * index)) & 31n)]).join("");
}

const comment = (text: string): string => `-m comment --comment "${text}"`;

/** The rules of one service port, as upstream's syncProxyRules of the iptables proxier writes them. */
export function rulesOf(port: ProxyPort, options: RuleOptions): PortRules {
  const rules = new Writer(port, options);
  rules.addClusterIp();
  for (const ip of port.externalIPs) rules.addExternal(ip, "external IP", rules.chain("EXT"));
  for (const ip of port.loadBalancerIPs) {
    rules.addExternal(ip, "loadbalancer IP", rules.chain(rules.isFirewalled ? "FW" : "EXT"));
    if (rules.isFirewalled) rules.addFirewall(ip);
  }
  rules.addNodePorts();
  rules.addExternalChain();
  if (rules.isFirewalled) rules.addFirewallChain();
  rules.addEndpoints();
  return rules;
}

class Writer implements PortRules {
  readonly filter: [SharedChain, string][] = [];
  readonly nat: [SharedChain, string][] = [];
  readonly chains = new Map<string, string[]>();
  readonly #port: ProxyPort;
  readonly #options: RuleOptions;
  readonly #protocol: string;
  readonly #match: string;

  constructor(port: ProxyPort, options: RuleOptions) {
    this.#port = port;
    this.#options = options;
    this.#protocol = port.protocol.toLowerCase();
    this.#match = `-m ${this.#protocol} -p ${this.#protocol}`;
  }

  /** Whether the load balancer's addresses are restricted to source ranges. */
  get isFirewalled(): boolean {
    const { hasAny, loadBalancerIPs, sourceRanges } = this.#port;
    return hasAny && loadBalancerIPs.length > 0 && sourceRanges.length > 0;
  }

  chain(kind: "SVC" | "SVL" | "EXT" | "FW"): string {
    return `${this.#options.prefix}-${kind}-${hashOf(this.#port.name + this.#protocol)}`;
  }

  addClusterIp(): void {
    const { name, clusterIP, internalLocal, local, cluster, hasAny, port } = this.#port;
    const to = `${this.#match} -d ${clusterIP} --dport ${port}`;
    const target = internalLocal ? this.chain("SVL") : this.chain("SVC");
    if (hasAny && (!internalLocal || local.length > 0)) {
      const { podCidr } = this.#options;
      const rule = `${comment(`${name} cluster IP`)} ${to}`;
      this.nat.push(["SERVICES", `${rule} -j ${target}`]);
      if (podCidr !== undefined) this.#own(target).push(`${rule} ! -s ${podCidr} -j ${this.#shared("MARK-MASQ")}`);
    } else this.filter.push(["SERVICES", `${comment(this.#lacking())} ${to} -j ${this.#refusal()}`]);
    if (cluster.length > 0) this.#own(this.chain("SVC"));
    if (local.length > 0) this.#own(this.chain("SVL"));
  }

  addExternal(ip: string, what: string, target: string): void {
    const { name, port, hasAny } = this.#port;
    const to = `${this.#match} -d ${ip} --dport ${port}`;
    if (hasAny) this.nat.push(["SERVICES", `${comment(`${name} ${what}`)} ${to} -j ${target}`]);
    if (!this.#hasExternal())
      this.filter.push(["EXTERNAL-SERVICES", `${comment(this.#lacking())} ${to} -j ${this.#refusal()}`]);
  }

  /** Packets that the port's firewall chain did not accept. */
  addFirewall(ip: string): void {
    const { name, port } = this.#port;
    const what = comment(`${name} traffic not accepted by ${this.chain("FW")}`);
    this.filter.push(["PROXY-FIREWALL", `${what} ${this.#match} -d ${ip} --dport ${port} -j DROP`]);
  }

  addNodePorts(): void {
    const { name, nodePort, healthCheckNodePort, hasAny } = this.#port;
    if (nodePort !== 0 && hasAny) {
      const what = `-m comment --comment ${name} ${this.#match} --dport ${nodePort}`;
      this.nat.push(["NODEPORTS", `${what} -j ${this.chain("EXT")}`]);
    }
    if (nodePort !== 0 && !this.#hasExternal()) {
      const to = `-m addrtype --dst-type LOCAL ${this.#match} --dport ${nodePort}`;
      this.filter.push(["EXTERNAL-SERVICES", `${comment(this.#lacking())} ${to} -j ${this.#refusal()}`]);
    }
    if (healthCheckNodePort !== 0) {
      const what = comment(`${name} health check node port`);
      this.filter.push(["NODEPORTS", `${what} -m tcp -p tcp --dport ${healthCheckNodePort} -j ACCEPT`]);
    }
  }

  /** The chain of traffic from outside, with the short cuts of traffic from this node. */
  addExternalChain(): void {
    const { name, hasAny, externalLocal } = this.#port;
    if (!hasAny || !hasExternalFrontends(this.#port)) return;
    const { podCidr } = this.#options;
    const rules = this.#own(this.chain("EXT"));
    const masquerade = `-j ${this.#shared("MARK-MASQ")}`;
    const toCluster = `-j ${this.chain("SVC")}`;
    const fromNode = "-m addrtype --src-type LOCAL";
    if (externalLocal) {
      if (podCidr !== undefined)
        rules.push(`${comment(`pod traffic for ${name} external destinations`)} -s ${podCidr} ${toCluster}`);
      rules.push(
        `${comment(`masquerade LOCAL traffic for ${name} external destinations`)} ${fromNode} ${masquerade}`,
        `${comment(`route LOCAL traffic for ${name} external destinations`)} ${fromNode} ${toCluster}`,
      );
    } else rules.push(`${comment(`masquerade traffic for ${name} external destinations`)} ${masquerade}`);
    if (this.#hasExternal()) rules.push(`-j ${this.chain(externalLocal ? "SVL" : "SVC")}`);
  }

  addFirewallChain(): void {
    const { name, sourceRanges, loadBalancerIPs } = this.#port;
    const { nodeIp } = this.#options;
    // The node's own requests may have the load balancer's address as their source.
    const own = nodeIp !== undefined && isWithin(sourceRanges, nodeIp) ? loadBalancerIPs : [];
    const allowed = [...sourceRanges, ...own].map(
      (source) => `${comment(`${name} loadbalancer IP`)} -s ${source} -j ${this.chain("EXT")}`,
    );
    const rest = comment(`other traffic to ${name} will be dropped by ${this.#shared("PROXY-FIREWALL")}`);
    this.#own(this.chain("FW")).push(...allowed, rest);
  }

  addEndpoints(): void {
    const { cluster, local, name, affinitySeconds } = this.#port;
    if (cluster.length > 0) this.#addChoice(this.chain("SVC"), cluster);
    if (local.length > 0) this.#addChoice(this.chain("SVL"), local);
    for (const endpoint of reachable(this.#port)) {
      const chain = this.#endpointChain(endpoint);
      const noted = affinitySeconds > 0 ? ` -m recent --name ${chain} --set` : "";
      const what = `-m comment --comment ${name}`;
      this.#own(chain).push(
        `${what} -s ${endpoint.ip} -j ${this.#shared("MARK-MASQ")}`,
        `${what}${noted} ${this.#match} -j DNAT --to-destination ${this.#addressOf(endpoint)}`,
      );
    }
  }

  /** Rules that choose one of the endpoints: that of a known client, else one at random. */
  #addChoice(chain: string, endpoints: readonly Endpoint[]): void {
    const { name, affinitySeconds } = this.#port;
    const described = endpoints.map((endpoint) => ({
      what: comment(`${name} -> ${this.#addressOf(endpoint)}`),
      target: this.#endpointChain(endpoint),
    }));
    const known = described.map(
      ({ what, target }) =>
        `${what} -m recent --name ${target} --rcheck --seconds ${affinitySeconds} --reap -j ${target}`,
    );
    const random = described.map(({ what, target }, index) => {
      const left = endpoints.length - index;
      const share = left === 1 ? "" : ` -m statistic --mode random --probability ${(1 / left).toFixed(10)}`;
      return `${what}${share} -j ${target}`;
    });
    this.#own(chain).push(...(affinitySeconds > 0 ? known : []), ...random);
  }

  #own(chain: string): string[] {
    const rules = this.chains.get(chain) ?? [];
    this.chains.set(chain, rules);
    return rules;
  }

  #endpointChain(endpoint: Endpoint): string {
    const { prefix } = this.#options;
    return `${prefix}-SEP-${hashOf(this.#port.name + this.#protocol + this.#addressOf(endpoint))}`;
  }

  #addressOf({ ip, port }: Endpoint): string {
    return this.#options.family === "IPv4" ? `${ip}:${port}` : `[${ip}]:${port}`;
  }

  #shared(chain: SharedChain): string {
    return `${this.#options.prefix}-${chain}`;
  }

  #hasExternal(): boolean {
    const { externalLocal, local, hasAny } = this.#port;
    return externalLocal ? local.length > 0 : hasAny;
  }

  #lacking(): string {
    return `${this.#port.name} has no ${this.#port.hasAny ? "local " : ""}endpoints`;
  }

  #refusal(): string {
    return this.#port.hasAny ? "DROP" : "REJECT";
  }
}
