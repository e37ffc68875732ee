import type { EndpointSlice } from "#api";
import { canonicalIp } from "#api/meta";
import { type IpFamily, isServedHere, type Protocol } from "./service-port.ts";

/** One endpoint of a service port, with what decides whether this node uses it. */
export interface Endpoint {
  ip: string;
  port: number;
  /** On this node. */
  isLocal: boolean;
  isReady: boolean;
  isServing: boolean;
  isTerminating: boolean;
  /** Absent: no hint. */
  zoneHints?: readonly string[];
  nodeHints?: readonly string[];
}

/** The label of a slice that names its service. */
const serviceNameLabel = "kubernetes.io/service-name";

/** `namespace/name` of the service that a slice belongs to; undefined: none that this proxy serves. */
export function serviceOf({ metadata }: EndpointSlice): string | undefined {
  const name = metadata.labels?.[serviceNameLabel];
  return name && isServedHere(metadata.labels) ? `${metadata.namespace}/${name}` : undefined;
}

export interface EndpointsRequest {
  /** All slices of the service. */
  slices: readonly EndpointSlice[];
  portName: string;
  protocol: Protocol;
  family: IpFamily;
  /** This node's name. */
  nodeName: string;
}

const textOf = ({ ip, port }: Endpoint): string => (ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`);

/**
 * The endpoints of one service port from all its slices, each address and port once, in the order of their text. An
 * address that is in two slices, or belongs to two pods, has the state of an endpoint that is not terminating. Follows
 * upstream's EndpointSliceCache (endpointInfoByServicePort, addEndpoints).
 */
export function endpointsOf({ slices, portName, protocol, family, nodeName }: EndpointsRequest): Endpoint[] {
  const found = new Map<string, Endpoint>();
  for (const slice of slices) {
    if (slice.addressType !== family) continue;
    for (const { name = "", port = 0, protocol: own = "TCP" } of slice.ports ?? []) {
      if (name !== portName || own !== protocol || port === 0) continue;
      for (const endpoint of slice.endpoints ?? []) {
        const read = endpointFrom(endpoint, port, nodeName);
        if (!read) continue;
        const key = textOf(read);
        if (!found.has(key) || !read.isTerminating) found.set(key, read);
      }
    }
  }
  return [...found].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, endpoint]) => endpoint);
}

type SliceEndpoint = NonNullable<EndpointSlice["endpoints"]>[number];

function endpointFrom(endpoint: SliceEndpoint, port: number, nodeName: string): Endpoint | undefined {
  const { addresses, conditions, hints, nodeName: own } = endpoint;
  const ip = canonicalIp(addresses[0] ?? "");
  if (ip === undefined) return undefined;
  const [zones = [], nodes = []] = [hints?.forZones, hints?.forNodes];
  return {
    ip,
    port,
    isLocal: own !== undefined && own === nodeName,
    isReady: conditions?.ready ?? true,
    isServing: conditions?.serving ?? true,
    isTerminating: conditions?.terminating ?? false,
    ...(zones.length > 0 ? { zoneHints: zones.map(({ name }) => name) } : {}),
    ...(nodes.length > 0 ? { nodeHints: nodes.map(({ name }) => name) } : {}),
  };
}
