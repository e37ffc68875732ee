import {
  type Endpoint,
  type EndpointAddress,
  type EndpointPort,
  type EndpointSlice,
  type Endpoints,
  formatIp,
  parseIp,
} from "#api";

/** The most addresses of one slice; further ones of a subset are not mirrored. */
export const largest = 1000;

type Subset = NonNullable<Endpoints["subsets"]>[0];
type Ports = NonNullable<EndpointSlice["ports"]>;

/** The content of one mirrored slice. */
export interface Mirrored {
  addressType: "IPv4" | "IPv6";
  ports: Ports;
  endpoints: Endpoint[];
}

export interface Mirror {
  slices: Mirrored[];
  /** Addresses that are no IP addresses. */
  invalid: number;
  /** Addresses beyond the most of a subset. */
  surplus: number;
}

/** The slices of an Endpoints object: one for each address family and set of ports (upstream's reconciler). */
export function mirrorOf({ subsets = [] }: Endpoints): Mirror {
  const byKey = new Map<string, Mirrored>();
  let [invalid, surplus] = [0, 0];
  for (const { addresses, ports } of repacked(subsets)) {
    let added = 0;
    for (const { address, isReady } of addresses) {
      const ip = parseIp(address.ip);
      if (added >= largest) surplus++;
      else if (!ip) invalid++;
      else {
        added++;
        const addressType = ip.version === 4 ? "IPv4" : "IPv6";
        const key = JSON.stringify([addressType, ports]);
        const slice = byKey.get(key) ?? { addressType, ports: ports.map(portOf), endpoints: [] };
        byKey.set(key, slice);
        slice.endpoints.push(endpointOf(address, formatIp(ip), isReady));
      }
    }
  }
  return { slices: [...byKey.values()], invalid, surplus };
}

interface Repacked {
  addresses: { address: EndpointAddress; isReady: boolean }[];
  ports: EndpointPort[];
}

/**
 * Addresses with all ports that they serve, sorted. An address of several subsets is one with the ports of all of them,
 * and not ready where one of them says so for the port (pkg/api/v1/endpoints, RepackSubsets).
 */
function repacked(subsets: readonly Subset[]): Repacked[] {
  const known = new Map<string, EndpointAddress>();
  const byPort = new Map<string, Map<string, boolean>>();
  for (const { addresses = [], notReadyAddresses = [], ports = [] } of subsets) {
    const all = [
      ...addresses.map((address) => ({ address, isReady: true })),
      ...notReadyAddresses.map((address) => ({ address, isReady: false })),
    ];
    // Addresses without ports are kept.
    for (const port of ports.length > 0 ? ports.map((one) => JSON.stringify(sortedPort(one))) : [""]) {
      const there = byPort.get(port) ?? new Map<string, boolean>();
      byPort.set(port, there);
      for (const { address, isReady } of all) {
        const key = `${address.ip} ${address.targetRef?.uid ?? ""}`;
        if (!known.has(key)) known.set(key, address);
        there.set(key, isReady && there.get(key) !== false);
      }
    }
  }
  const groups = new Map<string, Repacked>();
  for (const [port, there] of [...byPort].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const sorted = [...there].sort(([a], [b]) => (a < b ? -1 : 1));
    const key = JSON.stringify(sorted);
    const addresses = sorted.map(([name, isReady]) => ({ address: known.get(name)!, isReady }));
    const group = groups.get(key) ?? { addresses, ports: [] };
    groups.set(key, group);
    if (port !== "") group.ports.push(JSON.parse(port) as EndpointPort);
  }
  return [...groups.values()];
}

const sortedPort = ({ name, port, protocol, appProtocol }: EndpointPort): EndpointPort => ({
  ...(name === undefined ? {} : { name }),
  port,
  ...(protocol === undefined ? {} : { protocol }),
  ...(appProtocol === undefined ? {} : { appProtocol }),
});

const portOf = ({ name = "", port, protocol = "TCP", appProtocol }: EndpointPort): Ports[0] => ({
  ...{ name, port, protocol },
  ...(appProtocol === undefined ? {} : { appProtocol }),
});

const endpointOf = ({ targetRef, nodeName, hostname }: EndpointAddress, ip: string, ready: boolean): Endpoint => ({
  addresses: [ip],
  conditions: { ready },
  ...(hostname ? { hostname } : {}),
  ...(nodeName ? { nodeName } : {}),
  ...(targetRef ? { targetRef } : {}),
});
