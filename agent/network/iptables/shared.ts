import type { SharedChain } from "./rules.ts";

/** What rules depend on besides the cluster's services. */
export interface SharedOptions {
  prefix: string;
  family: "IPv4" | "IPv6";
  podCidr?: string | undefined;
  /**
   * The addresses of all nodes' pods: packets of this node's pods to addresses outside of it get the node's address, as
   * by the CNI plugin bridge with ipMasq. Absent: another part masquerades.
   */
  clusterCidr?: string | undefined;
  /** The cluster's service addresses; absent: packets to addresses of no service leave the node, as upstream. */
  serviceCidr?: string | undefined;
  /** Blocks whose addresses of the node answer node ports; absent: all. The loopback's answer none. */
  nodePortAddresses?: readonly string[] | undefined;
  /** Whether packets between two pods of one bridge pass these rules (br_netfilter). */
  seesBridge: boolean;
}

export const filterChains = ["SERVICES", "EXTERNAL-SERVICES", "FORWARD", "NODEPORTS", "PROXY-FIREWALL"] as const;
export const natChains = ["SERVICES", "NODEPORTS", "POSTROUTING", "MARK-MASQ"] as const;

/** A jump from one of the kernel's chains. */
interface Jump {
  source: string;
  to: string;
  /** The command that adds it. */
  rule: string;
}

/** The jumps of both tables: upstream's iptablesJumpChains. Each is inserted before the rules that are there. */
export function jumps(prefix: string): { filter: Jump[]; nat: Jump[] } {
  const jump = (source: string, chain: SharedChain, comment: string, match = ""): Jump => {
    const to = `${prefix}-${chain}`;
    return { source, to, rule: `-I ${source} ${match}-m comment --comment "${comment}" -j ${to}` };
  };
  const isNew = "-m conntrack --ctstate NEW ";
  const portals = "kubernetes service portals";
  const outside = "kubernetes externally-visible service portals";
  const firewall = "kubernetes load balancer firewall";
  return {
    filter: [
      jump("INPUT", "EXTERNAL-SERVICES", outside, isNew),
      jump("FORWARD", "EXTERNAL-SERVICES", outside, isNew),
      jump("INPUT", "NODEPORTS", "kubernetes health check service ports"),
      jump("FORWARD", "SERVICES", portals, isNew),
      jump("OUTPUT", "SERVICES", portals, isNew),
      jump("FORWARD", "FORWARD", "kubernetes forwarding rules"),
      jump("INPUT", "PROXY-FIREWALL", firewall, isNew),
      jump("OUTPUT", "PROXY-FIREWALL", firewall, isNew),
      jump("FORWARD", "PROXY-FIREWALL", firewall, isNew),
    ],
    nat: [
      jump("OUTPUT", "SERVICES", portals),
      jump("PREROUTING", "SERVICES", portals),
      jump("POSTROUTING", "POSTROUTING", "kubernetes postrouting rules"),
    ],
  };
}

/** Upstream's mark, as iptables prints it. */
const mark = "0x00004000";

type Rules = readonly (readonly [SharedChain, string])[];

/** The rules of shared chains before and after those of services: upstream's, without node ports on loopback. */
export function sharedRules(options: SharedOptions): {
  filter: { first: Rules; last: Rules };
  nat: { first: Rules; last: Rules };
} {
  const { family, podCidr, clusterCidr, serviceCidr, seesBridge } = options;
  const multicast = family === "IPv4" ? "224.0.0.0/4" : "ff00::/8";
  // The answer would otherwise cross the bridge with the endpoint's address.
  const bridged: Rules =
    seesBridge || podCidr === undefined
      ? []
      : [["POSTROUTING", `-m conntrack --ctstate DNAT -s ${podCidr} -d ${podCidr} -j MASQUERADE --random-fully`]];
  // Marked packets are masqueraded by the rules after these, which also remove the mark.
  const unmarked = `-m mark ! --mark ${mark}/${mark}`;
  const leaving: Rules =
    clusterCidr === undefined || podCidr === undefined
      ? []
      : [
          ["POSTROUTING", `${unmarked} -s ${podCidr} -d ${multicast} -j RETURN`],
          ["POSTROUTING", `${unmarked} -s ${podCidr} ! -d ${clusterCidr} -j MASQUERADE --random-fully`],
        ];
  return {
    filter: {
      first: [],
      last: [
        // Not upstream's: no packet to a service address leaves the node.
        ...(serviceCidr === undefined ? [] : ([["SERVICES", `-d ${serviceCidr} -j REJECT`]] as const)),
        ["FORWARD", "-m conntrack --ctstate INVALID -j DROP"],
        ["FORWARD", `-m comment --comment "kubernetes forwarding rules" -m mark --mark ${mark}/${mark} -j ACCEPT`],
        [
          "FORWARD",
          '-m comment --comment "kubernetes forwarding conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
        ],
      ],
    },
    nat: {
      first: [
        ...bridged,
        ...leaving,
        ["POSTROUTING", `${unmarked} -j RETURN`],
        ["POSTROUTING", `-j MARK --xor-mark ${mark}`],
        [
          "POSTROUTING",
          '-m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully',
        ],
        ["MARK-MASQ", `-j MARK --or-mark ${mark}`],
      ],
      last: nodePortRules(options),
    },
  };
}

/** The rules to node ports, one for each block: a rule names one block only. */
function nodePortRules({ prefix, family, nodePortAddresses }: SharedOptions): Rules {
  const last = "kubernetes service nodeports; NOTE: this must be the last rule in this chain";
  const loopback = family === "IPv4" ? "127.0.0.0/8" : "::1/128";
  const local = `-m comment --comment "${last}" -m addrtype --dst-type LOCAL`;
  const to = `-j ${prefix}-NODEPORTS`;
  if (!nodePortAddresses) return [["SERVICES", `${local} ! -d ${loopback} ${to}`]];
  return [
    ["SERVICES", `-d ${loopback} -j RETURN`],
    ...nodePortAddresses.map((block) => ["SERVICES", `${local} -d ${block} ${to}`] as const),
  ];
}
