/** What the rules of a cluster depend on besides its services. */
export interface TableOptions {
  /** The name of the table: one for each cluster of the machine. */
  table: string;
  family: "IPv4" | "IPv6";
  /** The addresses of this node's pods; absent: traffic from elsewhere is not recognized and not masqueraded. */
  podCidr?: string | undefined;
  /**
   * The addresses of all nodes' pods: packets of this node's pods to addresses outside of it get the node's address, as
   * by the CNI plugin bridge with ipMasq. Absent: another part masquerades.
   */
  clusterCidr?: string | undefined;
  /** The cluster's service addresses; absent: packets to addresses of no service leave the node. */
  serviceCidr?: string | undefined;
  /** Blocks whose addresses of the node answer node ports; absent: all. The loopback's answer none. */
  nodePortAddresses?: readonly string[] | undefined;
  /** Whether packets between two pods of one bridge pass these rules (br_netfilter). */
  seesBridge: boolean;
}

/** The mark of packets to masquerade: upstream's default, bit 14 (--iptables-masquerade-bit). */
export const masqueradeMark = "0x4000";

/** The largest number of endpoints for which a service port needs no chain of its own. */
export const pickLimit = 64;

/**
 * The sets and maps that hold services, by their name: the type of their keys and values. `endpoints` is the central
 * one: an index chosen at random is a part of its key, so that a service port is some elements and no chain.
 */
export function containersOf(family: TableOptions["family"]): Readonly<Record<ContainerName, string>> {
  const [ip, address] = family === "IPv4" ? ["ip", "ipv4_addr"] : ["ip6", "ipv6_addr"];
  const frontend = `${address} . inet_proto . inet_service`;
  const picked = `numgen random mod 2 : ${ip} daddr . th dport`;
  return {
    "cluster-ips": `set type ${address}`,
    "hairpin-connections": `set type ${address} . ${address} . inet_proto . inet_service`,
    masqueraded: `set type ${frontend}`,
    services: `map type ${frontend} : verdict`,
    "node-ports": "map type inet_proto . inet_service : verdict",
    "no-endpoint-services": `map type ${frontend} : verdict`,
    "no-endpoint-node-ports": "map type inet_proto . inet_service : verdict",
    "source-ranges": `map type ${frontend} : verdict`,
    endpoints: `map typeof ${ip} daddr . meta l4proto . th dport . ${picked}`,
    "node-port-endpoints": `map typeof meta l4proto . th dport . ${picked}`,
  };
}

export type ContainerName =
  | "cluster-ips"
  | "hairpin-connections"
  | "masqueraded"
  | "services"
  | "node-ports"
  | "no-endpoint-services"
  | "no-endpoint-node-ports"
  | "source-ranges"
  | "endpoints"
  | "node-port-endpoints";

/** The chains that the kernel calls, with their rules. Hooks and priorities are upstream's (nftablesBaseChains). */
const hooks: Readonly<Record<string, readonly [hook: string, ...rules: string[]]>> = {
  "filter-prerouting": ["type filter hook prerouting priority -110", "ct state new jump check-sources"],
  "filter-output-sources": ["type filter hook output priority -110", "ct state new jump check-sources"],
  "filter-input": [
    "type filter hook input priority 0",
    "ct state new jump check-node-ports",
    "ct state new jump check-endpoints",
  ],
  "filter-forward": [
    "type filter hook forward priority 0",
    "ct state new jump check-endpoints",
    "ct state new jump check-cluster-ips",
  ],
  "filter-output": [
    "type filter hook output priority 0",
    "ct state new jump check-endpoints",
    "ct state new jump check-cluster-ips",
  ],
  "nat-prerouting": ["type nat hook prerouting priority -100", "jump dispatch"],
  "nat-output": ["type nat hook output priority -100", "jump dispatch"],
  "nat-postrouting": ["type nat hook postrouting priority 100", "jump masquerading"],
};

/**
 * Commands for `nft -f` that replace a cluster's table by one without services: base chains, sets and maps. What an
 * earlier process left is deleted in the same transaction.
 */
export function tableSetup(options: TableOptions): string[] {
  const { family, table } = options;
  const name = `${family === "IPv4" ? "ip" : "ip6"} ${table}`;
  const chains = { ...hooks, ...checks(options), ...dispatch(options) };
  const containers = Object.entries(containersOf(family)).map(([container, definition]) => {
    const [kind, ...type] = definition.split(" ");
    return `add ${kind} ${name} ${container} { ${type.join(" ")}; }`;
  });
  const declared = Object.entries(chains).map(([chain, [hook = ""]]) =>
    chain in hooks ? `add chain ${name} ${chain} { ${hook}; }` : `add chain ${name} ${chain}`,
  );
  const rules = Object.entries(chains).flatMap(([chain, lines]) =>
    lines.slice(chain in hooks ? 1 : 0).map((rule) => `add rule ${name} ${chain} ${rule}`),
  );
  return [`add table ${name}`, `delete table ${name}`, `add table ${name}`, ...containers, ...declared, ...rules];
}

/** Rules that refuse and drop, after upstream's setupNFTables. */
function checks({ family, serviceCidr, nodePortAddresses }: TableOptions): Record<string, string[]> {
  const ip = family === "IPv4" ? "ip" : "ip6";
  const frontend = `${ip} daddr . meta l4proto . th dport`;
  const nodePort = `${nodePortMatch(family, nodePortAddresses)} meta l4proto . th dport`;
  return {
    "check-sources": [`${frontend} vmap @source-ranges`],
    "check-endpoints": [`${frontend} vmap @no-endpoint-services`],
    "check-node-ports": [`${nodePort} vmap @no-endpoint-node-ports`],
    "check-cluster-ips": [
      `${ip} daddr @cluster-ips reject`,
      ...(serviceCidr === undefined ? [] : [`${ip} daddr ${serviceCidr} drop`]),
    ],
    refuse: ["reject"],
  };
}

function nodePortMatch(family: TableOptions["family"], addresses: readonly string[] | undefined): string {
  const ip = family === "IPv4" ? "ip" : "ip6";
  const outside = `${ip} daddr != ${family === "IPv4" ? "127.0.0.0/8" : "::1"}`;
  return addresses === undefined ? outside : `${outside} ${ip} daddr { ${addresses.join(", ")} }`;
}

/** Addresses of groups, which are never behind a translation. */
const multicast = { IPv4: "224.0.0.0/4", IPv6: "ff00::/8" } as const;

/** Rules that choose an endpoint and translate addresses. */
function dispatch({
  family,
  podCidr,
  clusterCidr,
  nodePortAddresses,
  seesBridge,
}: TableOptions): Record<string, string[]> {
  const ip = family === "IPv4" ? "ip" : "ip6";
  const frontend = `${ip} daddr . meta l4proto . th dport`;
  const mark = `meta mark set meta mark or ${masqueradeMark}`;
  const nodePort = `fib daddr type local ${nodePortMatch(family, nodePortAddresses)} meta l4proto . th dport`;
  // nft 1.0.6 fails to add a rule that names such a map to an existing table: all are added with the table.
  const pick = (key: string, map: string, count: number): string =>
    `meta l4proto { tcp, udp, sctp } dnat ${ip} addr . port to ${key} . numgen random mod ${count} map @${map}`;
  const picks = Array.from({ length: pickLimit }, (_, index) => index + 1).flatMap((count): [string, string[]][] => [
    [`pick-${count}`, [pick(frontend, "endpoints", count)]],
    [`node-port-${count}`, [mark, pick("meta l4proto . th dport", "node-port-endpoints", count)]],
  ]);
  return {
    dispatch: [
      ...(podCidr === undefined ? [] : [`${ip} daddr @cluster-ips ${ip} saddr != ${podCidr} ${mark}`]),
      `${frontend} @masqueraded ${mark}`,
      `${frontend} vmap @services`,
      `${nodePort} vmap @node-ports`,
    ],
    masquerading: [
      `meta mark and ${masqueradeMark} != 0 meta mark set meta mark xor ${masqueradeMark} masquerade fully-random`,
      `ct status dnat ${ip} saddr . ${ip} daddr . meta l4proto . th dport @hairpin-connections masquerade fully-random`,
      // The answer would otherwise cross the bridge with the endpoint's address.
      ...(seesBridge || podCidr === undefined
        ? []
        : [`ct status dnat ${ip} saddr ${podCidr} ${ip} daddr ${podCidr} masquerade fully-random`]),
      ...(clusterCidr === undefined || podCidr === undefined
        ? []
        : [`${ip} saddr ${podCidr} ${ip} daddr != { ${clusterCidr}, ${multicast[family]} } masquerade fully-random`]),
    ],
    ...Object.fromEntries(picks),
  };
}
