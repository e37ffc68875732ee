import type { Host } from "./hosts.ts";
import type { JoinedCluster } from "./joined.ts";

const linesOf = (text: string): string[] =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean)
    .toSorted();

/** Programs that components call for a moment. */
const brief = new Set(["bridge", "cat", "conntrack", "find", "grep", "ip", "iptables", "ls", "nft", "nsenter", "sh"]);

/**
 * The names of processes, without shims that have no container. Seen with containerd 1.6.20 once in nine runs: after the
 * agent was killed while pods started, a shim stayed for which containerd listed no sandbox.
 */
const processNames = `for comm in /proc/[0-9]*/comm; do
  read -r name < $comm || continue
  [ "$name" = containerd-shim ] && [ -z "$(cat \${comm%comm}task/*/children)" ] && continue
  echo "$name"
done`;

/** The rules of services: elements are in the order of a hash, and chains that are no longer used are empty for a while. */
const rulesOf = (text: string): string[] =>
  linesOf(text.replaceAll(/elements = \{([^}]*)\}/g, (_, elements: string) => elements.replaceAll(",", "\n"))).filter(
    (line) => !/^(?:chain \S+ \{|\})$/.test(line),
  );

/**
 * What a cluster has left on a machine, each kind sorted: routes, rules, interfaces, networks, mounts, cgroups, processes,
 * sandboxes and containers. The names of interfaces and networks of pods are random and remain those of their pods.
 */
export async function tracesOf(cluster: JoinedCluster, host: Host): Promise<Record<string, string[]>> {
  const { bridge, cgroupRoot } = host.clusterNetwork();
  const shell = (command: string): string => host.run("sh", "-c", `${command} 2>/dev/null || true`);
  return {
    routes: linesOf(host.run("ip", "-4", "route", "show", "proto", "83")),
    neighbors: linesOf(host.run("ip", "-4", "neighbor", "show", "nud", "permanent")),
    forwards: linesOf(shell(`bridge fdb show dev skiffv-${bridge.slice(-8)} | grep dst`)),
    interfaces: linesOf(host.run("ls", "/sys/class/net")),
    mounts: linesOf(host.run("sh", "-c", `cut -d' ' -f2 /proc/mounts | grep -F ${host.dataDir}`)),
    networks: linesOf(host.run("ls", "/run/netns")),
    tables: linesOf(host.run("nft", "list", "tables")),
    rules: rulesOf(shell(`nft -s list table ip ${bridge}`)),
    cgroups: linesOf(shell(`find /sys/fs/cgroup -type d -path '*${cgroupRoot}/*'`)),
    processes: linesOf(shell(processNames)).filter((name) => !brief.has(name)),
    pods: await cluster.running(host.name),
    sandboxes: await cluster.sandboxes(host.name),
  };
}
