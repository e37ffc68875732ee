/** Writes the addresses of a service's pods to EndpointSlices (upstream's endpointslice controller). */
import {
  controllerOf,
  controllerReference,
  type Endpoint,
  type EndpointSlice,
  endpointSlices,
  type Node,
  nodes,
  type Pod,
  pods,
  type Service,
  services,
} from "#api";
import { clone, deepEqual, ignoreNotFound, ignoreReasons } from "#base";
import { isReady } from "#controllers/workload";
import { type ControllerContext, defineController, type Key, watching } from "#reconcile";
import { podsOf, portsOn, type ResolvedPort, servicesOfPod, targetRef } from "../service-pods.ts";
import { plan, type Wanted } from "./plan.ts";

const nameLabel = "kubernetes.io/service-name";
const managerLabel = "endpointslice.kubernetes.io/managed-by";
const manager = "endpointslice-controller.k8s.io";
const headlessLabel = "service.kubernetes.io/headless";

export const endpointSliceController = defineController<Service>({
  name: "endpointslice",
  component: "endpoint-slice-controller",
  for: services,
  watches: [
    watching<Pod>(pods, (seen, { client }) => servicesOfPod(client, seen)),
    watching<EndpointSlice>(endpointSlices, ({ object }) => {
      const { namespace, labels } = object.metadata;
      return labels?.[managerLabel] === manager && labels[nameLabel] ? [{ namespace, name: labels[nameLabel] }] : [];
    }),
  ],
  reconcile,
});

async function reconcile(context: ControllerContext, key: Key): Promise<void> {
  const { client } = context;
  const service = await ignoreNotFound(client.get(services, key));
  // The garbage collector deletes the slices of a deleted service; those of a service without a selector belong to its
  // users.
  if (!service || service.metadata.deletionTimestamp || service.spec?.type === "ExternalName") return;
  if (Object.keys(service.spec?.selector ?? {}).length === 0) return;
  const { wanted, skipped } = await wantedSlices(context, service);
  const labels = [
    { key: nameLabel, operator: "In" as const, values: [key.name] },
    { key: managerLabel, operator: "In" as const, values: [manager] },
  ];
  const there = (await client.list(endpointSlices, { namespace: key.namespace, labels })).items.filter(
    ({ metadata }) => !metadata.deletionTimestamp,
  );
  await agree(context, service, wanted, there);
  if (skipped.length > 0) retry(context, service, skipped);
}

/** Fails with upstream's message; the node may be registered later. */
function retry({ record }: ControllerContext, service: Service, skipped: readonly Pod[]): never {
  const name = `${service.metadata.namespace}/${service.metadata.name}`;
  const [first] = skipped.map(
    ({ metadata, spec }) => `skipping Pod ${metadata.name} for Service ${name}: Node ${spec?.nodeName ?? ""} Not Found`,
  );
  const message = `Error updating Endpoint Slices for Service ${name}: ${first}`;
  record({ kind: services, object: service }, "Warning", "FailedToUpdateEndpointSlices", message);
  throw new Error(first);
}

interface Group {
  ports: ResolvedPort[];
  endpoints: Endpoint[];
}

const portKey = (ports: readonly ResolvedPort[]): string =>
  JSON.stringify([...ports].sort((a, b) => (a.name < b.name ? -1 : 1)));

/**
 * Endpoints by the ports that they serve. As upstream, a pod without any of the named ports is listed without ports. A
 * pod whose node does not exist is skipped, unless the service publishes pods in any state.
 */
async function wantedSlices(
  { client }: ControllerContext,
  service: Service,
): Promise<{ wanted: Wanted[]; skipped: Pod[] }> {
  const byPorts = new Map<string, Group>();
  const known = new Map<string, Node | undefined>([["", undefined]]);
  const skipped: Pod[] = [];
  for (const pod of await podsOf(client, service)) {
    const ports = portsOn(service, pod);
    const nodeName = pod.spec?.nodeName ?? "";
    if (!known.has(nodeName)) known.set(nodeName, await ignoreNotFound(client.get(nodes, { name: nodeName })));
    const node = known.get(nodeName);
    if (!node && !service.spec?.publishNotReadyAddresses) {
      skipped.push(pod);
      continue;
    }
    const group = byPorts.get(portKey(ports)) ?? { ports, endpoints: [] };
    byPorts.set(portKey(ports), group);
    group.endpoints.push(endpointOf(service, pod, node?.metadata.labels?.["topology.kubernetes.io/zone"]));
  }
  // A service without pods has one empty slice.
  if (byPorts.size === 0) return { wanted: [{ ports: [], endpoints: [] }], skipped };
  const wanted = [...byPorts.values()].map(({ ports, endpoints }) => ({ ports: ports.map(asPort), endpoints }));
  return { wanted, skipped };
}

const asPort = ({ name, port, protocol, appProtocol }: ResolvedPort) => ({
  name,
  port,
  protocol,
  ...(appProtocol ? { appProtocol } : {}),
});

function endpointOf(service: Service, pod: Pod, zone: string | undefined): Endpoint {
  const serving = isReady(pod);
  const terminating = pod.metadata.deletionTimestamp !== undefined;
  const { hostname, subdomain, nodeName } = pod.spec ?? {};
  const named = hostname && subdomain === service.metadata.name;
  return {
    addresses: [pod.status!.podIP!],
    conditions: {
      ready: service.spec?.publishNotReadyAddresses === true || (serving && !terminating),
      serving,
      terminating,
    },
    ...(named ? { hostname } : {}),
    ...(nodeName ? { nodeName } : {}),
    targetRef: targetRef(pod),
    ...(zone === undefined ? {} : { zone }),
  };
}

function labelsOf(service: Service): Record<string, string> {
  const labels = { ...service.metadata.labels };
  delete labels[headlessLabel];
  return {
    ...labels,
    [nameLabel]: service.metadata.name ?? "",
    [managerLabel]: manager,
    ...(service.spec?.clusterIP === "None" ? { [headlessLabel]: "" } : {}),
  };
}

/** Writes the planned slices of a service. */
async function agree(
  context: ControllerContext,
  service: Service,
  wanted: readonly Wanted[],
  there: readonly EndpointSlice[],
): Promise<void> {
  const { client } = context;
  const labels = labelsOf(service);
  const { uid, namespace } = service.metadata;
  const isOwned = ({ metadata }: EndpointSlice): boolean => controllerOf({ metadata })?.uid === uid;
  const { write, remove } = plan(wanted, there.filter(isOwned), ({ metadata }) => deepEqual(metadata.labels, labels));
  for (const { slice, endpoints, ports } of write) {
    if (slice) {
      const next = clone(slice);
      Object.assign(next, { endpoints, ports });
      next.metadata.labels = labels;
      await client.update(endpointSlices, next);
      continue;
    }
    const ownerReferences = [controllerReference(services, service)];
    const metadata = { generateName: `${service.metadata.name}-`, namespace, labels, ownerReferences };
    const made = { metadata, addressType: "IPv4", endpoints, ports } as EndpointSlice;
    await ignoreReasons(["Forbidden", "NotFound"], client.create(endpointSlices, made));
  }
  // Slices of an earlier service of this name would lead to the wrong pods.
  for (const { metadata } of [...remove, ...there.filter((slice) => !isOwned(slice))]) {
    const { name = "" } = metadata;
    await ignoreReasons(
      ["NotFound", "Conflict"],
      client.delete(endpointSlices, { namespace, name }, { uid: metadata.uid }),
    );
  }
}
