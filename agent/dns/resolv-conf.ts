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

/** Limits of upstream's API validation, and of names: pods' search lists are cut off behind them. */
const mostSearches = 32;
const mostSearchCharacters = 2048;
const longestSearch = 253;
/** Domains that pods get before those of the host, where the cluster has a DNS server. */
const clusterSearches = 3;

/**
 * The first fault of a node's settings for pods, in the words of upstream's CheckLimitsForResolvConf; undefined: none.
 * The file defaults to the host's own.
 */
export async function resolvConfFault(hasClusterDns: boolean, file = hostFile): Promise<string | undefined> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return `open ${file}: ${code === "ENOENT" ? "no such file or directory" : message}`;
  }
  const { searches } = parseResolvConf(text);
  const most = hasClusterDns ? mostSearches - clusterSearches : mostSearches;
  if (searches.length > most) {
    return `Resolv.conf file '${file}' contains search line consisting of more than ${most} domains!`;
  }
  if (searches.some(({ length }) => length > longestSearch)) {
    return `Resolv.conf file ${JSON.stringify(file)} contains a search path which length is more than allowed ${longestSearch} chars!`;
  }
  if (searches.join(" ").length <= mostSearchCharacters) return undefined;
  return `Resolv.conf file '${file}' contains search line which length is more than allowed ${mostSearchCharacters} chars!`;
}

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
