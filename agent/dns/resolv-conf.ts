import { readFile } from "node:fs/promises";

/** The settings of a resolver (resolv.conf(5)). */
export interface ResolvConf {
  servers: string[];
  searches: string[];
  /** Such as `ndots:5`, each name once. */
  options: string[];
}

/**
 * Parses a resolv.conf as upstream's parseResolvConf (pkg/kubelet/network/dns): lines of servers accumulate, the last
 * search line and the last option of a name count, and a trailing dot of a search domain is not kept.
 */
export function parseResolvConf(text: string): ResolvConf {
  const servers: string[] = [];
  let searches: string[] = [];
  const options = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [key, ...values] = line.trim().split(/\s+/);
    if (key === "nameserver" && values[0]) servers.push(values[0]);
    if (key === "search") searches = values.filter((value) => value !== ".").map((value) => value.replace(/\.$/, ""));
    if (key === "options") for (const option of values) options.set(option.split(":")[0] ?? "", option);
  }
  return { servers, searches, options: [...options.values()] };
}

const hostFile = "/etc/resolv.conf";
/** The servers behind systemd-resolved, which itself answers on the host's loopback only. */
const resolvedFile = "/run/systemd/resolve/resolv.conf";
const resolvedStub = "127.0.0.53";

const read = (path: string): Promise<string | undefined> => readFile(path, "utf8").catch(() => undefined);

/** The host's settings, for processes in the host's network. Without a file: none. Defaults to the host's own file. */
export const hostResolvConf = async (file = hostFile): Promise<ResolvConf> => parseResolvConf((await read(file)) ?? "");

/**
 * The settings for pods: those of the file. By default those of the host's own, or, with systemd-resolved, the servers
 * behind it, as kubeadm sets the kubelet's --resolv-conf.
 */
export async function podResolvConf(file?: string): Promise<ResolvConf> {
  const host = await hostResolvConf(file);
  if (file !== undefined) return host;
  if (host.servers.length === 0 || host.servers.some((server) => server !== resolvedStub)) return host;
  const behind = await read(resolvedFile);
  return behind === undefined ? host : parseResolvConf(behind);
}
