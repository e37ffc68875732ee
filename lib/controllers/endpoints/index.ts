/**
 * Writes the addresses of a service's pods to an Endpoints object, for clients without EndpointSlices (upstream's
 * endpoints controller).
 */
import {
  type EndpointAddress,
  type Endpoints,
  endpoints as endpointsKind,
  type Pod,
  pods,
  type Service,
  services,
} from "#api";
import { clone, deepEqual, ignoreNotFound, ignoreReasons, isApiError } from "#base";
import { isReady } from "#controllers/workload";
import { type ControllerContext, defineController, type Key, Terminal, watching } from "#reconcile";
import { podsOf, portsOn, type ResolvedPort, servicesOfPod, targetRef } from "../service-pods.ts";

const managerLabel = "endpoints.kubernetes.io/managed-by";
const manager = "endpoint-controller";
const headlessLabel = "service.kubernetes.io/headless";
const overCapacity = "endpoints.kubernetes.io/over-capacity";
const largest = 1000;

export const endpointsController = defineController<Service>({
  name: "endpoints",
  component: "endpoint-controller",
  for: services,
  watches: [
    watching<Pod>(pods, (seen, { client }) => servicesOfPod(client, seen)),
    watching<Endpoints>(endpointsKind, ({ object }) =>
      object.metadata.labels?.[managerLabel] === manager
        ? [{ namespace: object.metadata.namespace, name: object.metadata.name ?? "" }]
        : [],
    ),
  ],
  reconcile,
});

async function reconcile(context: ControllerContext, key: Key): Promise<void> {
  const { client } = context;
  const service = await ignoreNotFound(client.get(services, key));
  if (!service) {
    const left = await ignoreNotFound(client.get(endpointsKind, key));
    const ours = left?.metadata.labels?.[managerLabel] === manager;
    if (ours) await ignoreNotFound(client.delete(endpointsKind, key, { uid: left.metadata.uid }));
    return;
  }
  if (service.metadata.deletionTimestamp || Object.keys(service.spec?.selector ?? {}).length === 0) return;
  if (service.spec?.type === "ExternalName") return;
  const all = await podsOf(client, service);
  const { subsets, dropped } = subsetsOf(service, all);
  const there = await ignoreNotFound(client.get(endpointsKind, key));
  const next: Endpoints = there ? clone(there) : { metadata: { namespace: key.namespace, name: key.name } };
  next.metadata.labels = labelsOf(service);
  const { [overCapacity]: _old, ...annotations } = next.metadata.annotations ?? {};
  next.metadata.annotations = dropped ? { ...annotations, [overCapacity]: "truncated" } : annotations;
  if (Object.keys(next.metadata.annotations).length === 0) delete next.metadata.annotations;
  if (subsets.length > 0) next.subsets = subsets;
  else delete next.subsets;
  if (there && deepEqual(next, there)) return;
  const written = there
    ? client.update(endpointsKind, next)
    : ignoreReasons(["Forbidden", "NotFound"], client.create(endpointsKind, next));
  await written.catch((error: unknown) => refused(context, service, next, error));
}

/** Reports a malformed Endpoints object, for example of a pod with an address and without a node. */
function refused({ record }: ControllerContext, service: Service, object: Endpoints, error: unknown): never {
  if (!isApiError(error) || error.reason !== "Invalid") throw error;
  const { namespace, name } = service.metadata;
  const [reason, what] = object.metadata.resourceVersion
    ? ["FailedToUpdateEndpoint", "update endpoint"]
    : ["FailedToCreateEndpoint", "create endpoint for service"];
  const message = `Failed to ${what} ${namespace}/${name}: ${error.message}`;
  record({ kind: endpointsKind, object }, "Warning", reason, message);
  throw new Terminal(message);
}

function labelsOf(service: Service): Record<string, string> {
  const { [headlessLabel]: _headless, ...labels } = service.metadata.labels ?? {};
  return { ...labels, [managerLabel]: manager, ...(service.spec?.clusterIP === "None" ? { [headlessLabel]: "" } : {}) };
}

type Subsets = NonNullable<Endpoints["subsets"]>;

/** Addresses by the ports that they serve, ready and not ready ones apart; at most a thousand in all. */
function subsetsOf(service: Service, all: readonly Pod[]): { subsets: Subsets; dropped: boolean } {
  const publish = service.spec?.publishNotReadyAddresses === true;
  const usable = all.filter(({ metadata }) => publish || !metadata.deletionTimestamp);
  const sorted = [...usable].sort((a, b) => Number(isReady(b)) - Number(isReady(a)));
  const groups = new Map<string, { ports: ResolvedPort[]; ready: EndpointAddress[]; notReady: EndpointAddress[] }>();
  for (const pod of sorted.slice(0, largest)) {
    const ports = portsOn(service, pod);
    if (ports.length === 0 && (service.spec?.ports ?? []).length > 0) continue;
    const key = JSON.stringify(ports);
    const group = groups.get(key) ?? { ports, ready: [], notReady: [] };
    groups.set(key, group);
    (publish || isReady(pod) ? group.ready : group.notReady).push(addressOf(service, pod));
  }
  const byIp = (a: EndpointAddress, b: EndpointAddress) => (a.ip < b.ip ? -1 : 1);
  const inOrder = [...groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => group);
  const subsets = inOrder.map(({ ports, ready, notReady }) => ({
    ...(ready.length > 0 ? { addresses: ready.sort(byIp) } : {}),
    ...(notReady.length > 0 ? { notReadyAddresses: notReady.sort(byIp) } : {}),
    ...(ports.length > 0
      ? {
          ports: ports.map(({ name, port, protocol, appProtocol }) => ({
            ...(name === "" ? {} : { name }),
            port,
            protocol,
            ...(appProtocol ? { appProtocol } : {}),
          })),
        }
      : {}),
  }));
  return { subsets, dropped: sorted.length > largest };
}

function addressOf(service: Service, pod: Pod): EndpointAddress {
  const { hostname, subdomain, nodeName } = pod.spec ?? {};
  return {
    ip: pod.status!.podIP!,
    ...(hostname && subdomain === service.metadata.name ? { hostname } : {}),
    // Upstream sets the node name also where the pod has none, which validation then rejects.
    nodeName: nodeName ?? "",
    targetRef: targetRef(pod),
  };
}
