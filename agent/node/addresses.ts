import { readFile } from "node:fs/promises";
import { type NetworkInterfaceInfo, networkInterfaces } from "node:os";
import { isPodInterface } from "#agent/overlay";

type Interfaces = Record<string, NetworkInterfaceInfo[] | undefined>;

/**
 * One address of each family, IPv4 first, as pods' `hostIPs` have them. Like the kubelet's without `--node-ip`: those of
 * the interface with the default route. Without such a route: the first ones. Never empty.
 */
export function nodeAddresses(interfaces: Interfaces, { ipv4, ipv6 }: { ipv4?: string; ipv6?: string }): string[] {
  const own = Object.entries(interfaces).flatMap(([name, list]) =>
    isPodInterface(name) ? [] : (list ?? []).map((one) => ({ ...one, name })),
  );
  const usable = own.filter(({ internal, address }) => !internal && !address.startsWith("fe80:"));
  const pick = (family: string, name: string | undefined): string[] => {
    const all = usable.filter((one) => one.family === family);
    const found = all.find((one) => one.name === name) ?? all[0];
    return found ? [found.address] : [];
  };
  const addresses = [...pick("IPv4", ipv4), ...pick("IPv6", ipv6)];
  return addresses.length > 0 ? addresses : ["127.0.0.1"];
}

/** The interface of the default route with the lowest metric in a table of /proc/net/route. */
export function defaultInterface(table: string): string | undefined {
  const routes = table
    .split("\n")
    .slice(1)
    .map((line) => line.split("\t"));
  const defaults = routes.filter(([, destination, , , , , , mask]) => /^0+$/.test(`${destination}${mask?.trim()}`));
  return defaults.sort((a, b) => Number(a[6]) - Number(b[6]))[0]?.[0];
}

/** The same for a table of /proc/net/ipv6_route, which has no line of titles. */
export function defaultInterface6(table: string): string | undefined {
  const routes = table.split("\n").map((line) => line.trim().split(/ +/));
  // The loopback's is a route that rejects.
  const defaults = routes.filter(
    ([destination, length, , , , , , , , name]) =>
      /^0{32}$/.test(destination ?? "") && length === "00" && name !== "lo",
  );
  return defaults.sort((a, b) => Number.parseInt(a[5]!, 16) - Number.parseInt(b[5]!, 16))[0]?.[9];
}

/** Addresses by which this machine can be reached. */
export async function hostAddresses(): Promise<string[]> {
  const table = (path: string): Promise<string> => readFile(path, "utf8").catch(() => "");
  const ipv4 = defaultInterface(await table("/proc/net/route"));
  const ipv6 = defaultInterface6(await table("/proc/net/ipv6_route"));
  return nodeAddresses(networkInterfaces(), { ...(ipv4 && { ipv4 }), ...(ipv6 && { ipv6 }) });
}
