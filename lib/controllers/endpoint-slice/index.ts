/** Tells in EndpointSlices where a service's pods are (upstream's endpointslice controller). */
import {
  type Endpoint,
  type EndpointSlice,
  node as nodes,
  type Pod,
  pod as pods,
  type Service,
  service as services,
  endpointSlice as slices,
} from "#api";
import { clone, deepEqual } from "#base";
import { type ControllerContext, defineController, type Key, watching } from "#reconcile";
import { controllerReference, ignoring } from "../ownership.ts";
import { isReady } from "../pods.ts";
import { podsOf, portsOn, type ResolvedPort, servicesOfPod, targetRef } from "../service-pods.ts";

const nameLabel = "kubernetes.io/service-name";
const managerLabel = "endpointslice.kubernetes.io/managed-by";
const manager = "endpointslice-controller.k8s.io";
const headlessLabel = "service.kubernetes.io/headless";
const largest = 100;

export const endpointSliceController = defineController<Service>({
  name: "endpoint-slice",
  for: services,
  watches: [
    watching<Pod>(pods, (seen, { client }) => servicesOfPod(client, seen)),
    watching<EndpointSlice>(slices, ({ object }) => {
      const { namespace, labels } = object.metadata;
      return labels?.[managerLabel] === manager && labels[nameLabel] ? [{ namespace, name: labels[nameLabel] }] : [];
    }),
  ],
  reconcile,
});

async function reconcile(context: ControllerContext, key: Key): Promise<void> {
  const { client } = context;
  const service = await ignoring(["NotFound"], client.get(services, key));
  // The slices of a service that is gone are the garbage collector's; those of one without a selector are somebody's own.
  if (!service || service.metadata.deletionTimestamp || service.spec?.type === "ExternalName") return;
  if (Object.keys(service.spec?.selector ?? {}).length === 0) return;
  const wanted = await wantedSlices(context, service);
  const labels = [
    { key: nameLabel, operator: "In" as const, values: [key.name] },
    { key: managerLabel, operator: "In" as const, values: [manager] },
  ];
  const there = (await client.list(slices, { namespace: key.namespace, labels })).items.filter(
    ({ metadata }) => !metadata.deletionTimestamp,
  );
  await agree(context, service, wanted, there);
}

interface Wanted {
  ports: ResolvedPort[];
  endpoints: Endpoint[];
}

const portKey = (ports: readonly ResolvedPort[]): string =>
  JSON.stringify([...ports].sort((a, b) => (a.name < b.name ? -1 : 1)));

/** Endpoints by the ports that they serve, in pieces of a slice's size. */
async function wantedSlices({ client }: ControllerContext, service: Service): Promise<Wanted[]> {
  const byPorts = new Map<string, Wanted>();
  const zones = new Map<string, string | undefined>();
  for (const pod of await podsOf(client, service)) {
    const ports = portsOn(service, pod);
    if (ports.length === 0 && (service.spec?.ports ?? []).length > 0) continue;
    const nodeName = pod.spec?.nodeName ?? "";
    if (nodeName !== "" && !zones.has(nodeName)) {
      const node = await ignoring(["NotFound"], client.get(nodes, { name: nodeName }));
      zones.set(nodeName, node?.metadata.labels?.["topology.kubernetes.io/zone"]);
    }
    const group = byPorts.get(portKey(ports)) ?? { ports, endpoints: [] };
    byPorts.set(portKey(ports), group);
    group.endpoints.push(endpointOf(service, pod, zones.get(nodeName)));
  }
  // A service without pods shows one empty slice.
  if (byPorts.size === 0) return [{ ports: [], endpoints: [] }];
  return [...byPorts.values()].flatMap(({ ports, endpoints }) => {
    endpoints.sort((a, b) => ((a.targetRef?.uid ?? "") < (b.targetRef?.uid ?? "") ? -1 : 1));
    const pieces: Wanted[] = [];
    for (let at = 0; at < endpoints.length; at += largest)
      pieces.push({ ports, endpoints: endpoints.slice(at, at + largest) });
    return pieces;
  });
}

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

/** Changes as few slices as possible: equal ones stay, then those with the same ports are rewritten, then the rest is made or deleted. */
async function agree(
  context: ControllerContext,
  service: Service,
  wanted: readonly Wanted[],
  there: readonly EndpointSlice[],
): Promise<void> {
  const { client } = context;
  const labels = labelsOf(service);
  const ports = ({ ports }: Wanted) =>
    ports.map(({ name, port, protocol, appProtocol }) => ({
      name,
      port,
      protocol,
      ...(appProtocol ? { appProtocol } : {}),
    }));
  const isSame = (slice: EndpointSlice, want: Wanted): boolean =>
    deepEqual(slice.endpoints ?? [], want.endpoints) &&
    deepEqual(slice.ports ?? [], ports(want)) &&
    deepEqual(slice.metadata.labels, labels);
  const free = [...there];
  const rest: Wanted[] = [];
  for (const want of wanted) {
    const at = free.findIndex((slice) => isSame(slice, want));
    if (at >= 0) free.splice(at, 1);
    else rest.push(want);
  }
  for (const want of rest) {
    const at = Math.max(
      0,
      free.findIndex((slice) => deepEqual(slice.ports ?? [], ports(want))),
    );
    const [slice] = free.splice(at, 1);
    if (slice) {
      const next = clone(slice);
      Object.assign(next, { endpoints: want.endpoints, ports: ports(want) });
      next.metadata.labels = labels;
      await client.update(slices, next);
      continue;
    }
    await ignoring(
      ["Forbidden", "NotFound"],
      client.create(slices, {
        metadata: {
          generateName: `${service.metadata.name}-`,
          namespace: service.metadata.namespace,
          labels,
          ownerReferences: [controllerReference(services, service)],
        },
        addressType: "IPv4",
        endpoints: want.endpoints,
        ports: ports(want),
      } as EndpointSlice),
    );
  }
  for (const { metadata } of free) {
    const { namespace, name = "" } = metadata;
    await ignoring(["NotFound"], client.remove(slices, { namespace, name }));
  }
}
