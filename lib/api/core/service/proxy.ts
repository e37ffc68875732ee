import { serviceUnavailable } from "#base";
import { type Endpoint, type EndpointSlice, endpointSlices } from "../../discovery/endpoint-slice/index.ts";
import {
  isGlobalUnicast,
  type Kind,
  type ProxyContext,
  type ProxyRequest,
  type ProxySubresource,
  type ProxyTarget,
} from "../../meta/index.ts";
import { pods } from "../pod/index.ts";
import type { Service } from "./schema.ts";

const serviceLabel = "kubernetes.io/service-name";

/**
 * services/proxy: a ready endpoint of the service's slices that is a pod of its namespace, from a random one on
 * (upstream's ResourceLocation of services and proxy.RandomEndpoint). The path has the name of a service's port or its
 * number; without either, the port without a name.
 */
export const serviceProxy = (services: () => Kind<Service>): ProxySubresource => ({
  type: "proxy",
  accepts: { group: "", version: "v1", kind: "ServiceProxyOptions" },
  async target(request, context) {
    const { namespace, name } = request;
    const portName = await portNameOf(services(), request, context);
    const labels = [{ key: serviceLabel, operator: "In" as const, values: [name] }];
    const { items } = await context.list(endpointSlices, { namespace, labels });
    for (const slice of inOrder(items, context)) {
      for (const { name: known, port } of slice.ports ?? []) {
        if (known !== portName || port === undefined) continue;
        const found = await endpointOf(slice, { namespace, port }, context);
        if (found) return found;
      }
    }
    throw serviceUnavailable(`no endpoints available for service ${JSON.stringify(name)}`);
  },
});

/** The name of the port of the slices. Throws ApiError 404 and 503 for a number that the service does not have. */
async function portNameOf(
  services: Kind<Service>,
  { namespace, name, port }: ProxyRequest,
  { get }: ProxyContext,
): Promise<string> {
  if (!/^[+-]?\d+$/.test(port)) return port;
  const { spec } = await get(services, { namespace, name });
  const found = spec?.ports?.find((one) => one.port === Number(port));
  if (found) return found.name ?? "";
  throw serviceUnavailable(`no service port ${Number(port)} found for service ${JSON.stringify(name)}`);
}

/** The slices in random order, those of IPv4, the cluster's family, first. */
function inOrder(slices: readonly EndpointSlice[], { random }: ProxyContext): EndpointSlice[] {
  const keyed = slices.map((slice) => ({ slice, key: (slice.addressType === "IPv4" ? 0 : 1) + random() }));
  return keyed.sort((a, b) => a.key - b.key).map(({ slice }) => slice);
}

interface Wanted {
  namespace: string;
  port: number;
}

async function endpointOf(
  { endpoints = [] }: EndpointSlice,
  { namespace, port }: Wanted,
  context: ProxyContext,
): Promise<ProxyTarget | undefined> {
  const offset = Math.floor(context.random() * endpoints.length);
  for (const endpoint of [...endpoints.slice(offset), ...endpoints.slice(0, offset)]) {
    if (endpoint.conditions?.ready === false) continue;
    const node = await nodeOf(endpoint, namespace, context);
    if (node === undefined) continue;
    const pod = { namespace, name: endpoint.targetRef!.name! };
    return { node, dial: { type: "dial", pod, address: endpoint.addresses[0]!, port } };
  }
  return undefined;
}

/**
 * The node of the pod behind an endpoint; undefined unless the address is that of a pod of this namespace: an
 * EndpointSlice may name any address, and its writer must not reach it through the API server.
 */
async function nodeOf(
  { addresses, targetRef }: Endpoint,
  namespace: string,
  context: ProxyContext,
): Promise<string | undefined> {
  const [address = ""] = addresses;
  if (!targetRef?.name || targetRef.namespace !== namespace || !isGlobalUnicast(address)) return undefined;
  const pod = await context.get(pods, { namespace, name: targetRef.name }).catch(() => undefined);
  if (!pod?.status?.podIPs?.some(({ ip }) => ip === address)) return undefined;
  return pod.spec?.nodeName || undefined;
}
