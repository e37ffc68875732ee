import {
  type EndpointSlice,
  type Endpoints,
  endpointSlices,
  endpoints as endpointsKind,
  formatIp,
  type Namespace,
  namespaces,
  parseCidr,
  type Service,
  type ServiceCIDR,
  serviceCidrs,
  services,
  storageOf,
} from "#api";
import { ensurePolicy } from "#auth";
import { type Clock, isReason } from "#base";
import type { Client } from "#client";
import { ensure } from "./ensure.ts";

export interface BootstrapOptions {
  client: Client;
  clock: Clock;
  serviceCidr: string;
  endpoint?: { address: string; port: number };
}

/** The last object of the bootstrap: when it exists, the cluster has been bootstrapped. */
export const lastMade = { type: storageOf(services), key: "default/kubernetes" };

const systemNamespaces = ["default", "kube-system", "kube-public", "kube-node-lease"];

/**
 * Creates the objects of every cluster: the system namespaces, the default roles and bindings, the default ServiceCIDR,
 * the `kube-dns` service, and the `kubernetes` service with its endpoints. Safe to run at every start: existing objects stay, and fields that
 * differ are corrected.
 */
export async function bootstrap({ client, serviceCidr, endpoint }: BootstrapOptions): Promise<void> {
  for (const name of systemNamespaces) {
    await ensure<Namespace>(client, namespaces, { metadata: { name } });
  }
  await ensurePolicy(client);
  const block = parseCidr(serviceCidr);
  if (block?.version !== 4 || block.prefix > 28) {
    throw new Error(`the service CIDR ${serviceCidr} is not an IPv4 block of at least 16 addresses`);
  }
  await ensure<ServiceCIDR>(client, serviceCidrs, { metadata: { name: "kubernetes" }, spec: { cidrs: [serviceCidr] } });
  await ensureDnsService(client, formatIp({ version: 4, value: block.value + 10n }));
  const first = formatIp({ version: 4, value: block.value + 1n });
  const labels = { component: "apiserver", provider: "kubernetes" };
  const own = { name: "kubernetes", namespace: "default" };
  await ensure<Service>(client, services, {
    metadata: { ...own, labels },
    spec: {
      type: "ClusterIP",
      clusterIP: first,
      clusterIPs: [first],
      ipFamilies: ["IPv4"],
      ipFamilyPolicy: "SingleStack",
      ports: [{ name: "https", protocol: "TCP", port: 443, targetPort: endpoint?.port ?? 443 }],
      sessionAffinity: "None",
    },
  });
  if (!endpoint) return;
  const skip = { "endpointslice.kubernetes.io/skip-mirror": "true" };
  const port = { name: "https", port: endpoint.port, protocol: "TCP" };
  await ensure<Endpoints>(client, endpointsKind, {
    metadata: { ...own, labels: skip },
    subsets: [{ addresses: [{ ip: endpoint.address }], ports: [port] }],
  });
  await ensure<EndpointSlice>(client, endpointSlices, {
    metadata: { ...own, labels: { "kubernetes.io/service-name": own.name } },
    addressType: "IPv4",
    endpoints: [{ addresses: [endpoint.address], conditions: { ready: true } }],
    ports: [port],
  });
}

/**
 * The service of cluster DNS, with kubeadm's name, labels and address: clients look for them. It has no selector, since
 * each node answers itself. An existing one is not changed. Without its address, which another service may have in an
 * older cluster, it gets any.
 */
async function ensureDnsService(client: Client, address: string): Promise<void> {
  const own = { name: "kube-dns", namespace: "kube-system" };
  const ports = [
    { name: "dns", protocol: "UDP", port: 53, targetPort: 53 },
    { name: "dns-tcp", protocol: "TCP", port: 53, targetPort: 53 },
  ];
  const metadata = {
    ...own,
    labels: { "k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS" },
  };
  const create = (spec: Service["spec"]) => client.create<Service>(services, { metadata, spec: { ...spec, ports } });
  try {
    await client.get(services, own);
  } catch (error) {
    if (!isReason(error, "NotFound")) throw error;
    try {
      await create({ clusterIP: address }).catch((refused: unknown) => {
        if (!isReason(refused, "Invalid")) throw refused;
        return create({});
      });
    } catch (refused) {
      // Another process bootstraps the cluster, too.
      if (!isReason(refused, "AlreadyExists")) throw refused;
    }
  }
}
