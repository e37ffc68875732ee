/**
 * Releases cluster IPs and node ports that their service does not use: a crash between allocating one and writing the
 * service, or between deleting the service and releasing it, leaves them behind. Allocates again what a service uses
 * and a client has deleted (upstream's repair controllers of ipallocator and portallocator).
 */
import {
  type IPAddress,
  ipAddresses,
  type Kind,
  type KubernetesObject,
  type NodePortAllocation,
  nodePortAllocations,
  type Service,
  services,
} from "#api";
import { ignoreNotFound, ignoreReasons, parseTime } from "#base";
import { type ControllerContext, defineController, type Key, type Result, watching } from "#reconcile";

/** The longest time, in milliseconds, that a request holds an allocation before its service shows it. */
const inFlight = 60_000;

export const allocatorRepairController = defineController<Service>({
  name: "allocator-repair",
  component: "ipallocator-repair-controller",
  for: services,
  watches: [
    watching<IPAddress>(ipAddresses, ({ type, object }) => (type === "MODIFIED" ? [] : holderOf(object))),
    watching<NodePortAllocation>(nodePortAllocations, ({ type, object }) => (type === "MODIFIED" ? [] : owner(object))),
  ],
  reconcile,
});

function holderOf({ spec }: IPAddress): Key[] {
  const parent = spec?.parentRef;
  if (parent?.resource !== services.plural || parent.group) return [];
  return [{ namespace: parent.namespace, name: parent.name }];
}

const owner = ({ spec }: NodePortAllocation): Key[] => (spec ? [{ namespace: spec.namespace, name: spec.name }] : []);

async function reconcile(context: ControllerContext, key: Key): Promise<Result | undefined> {
  const { client } = context;
  const takenAddresses = (await client.list(ipAddresses)).items.filter((each) =>
    holderOf(each).some((at) => isKey(at, key)),
  );
  const takenPorts = (await client.list(nodePortAllocations)).items.filter((each) =>
    owner(each).some((at) => isKey(at, key)),
  );
  // The service is read after its allocations: whatever it shows now was allocated before.
  const service = await ignoreNotFound(client.get(services, key));
  if (service?.spec && service.spec.type !== "ExternalName")
    await allocateMissing(context, service, takenAddresses, takenPorts);
  const used = new Set([
    ...(service?.spec?.clusterIPs ?? []),
    String(service?.spec?.healthCheckNodePort ?? ""),
    ...(service?.spec?.ports ?? []).map(({ nodePort }) => String(nodePort ?? "")),
  ]);
  const waits = [
    ...(await releaseUnused(context, ipAddresses as Kind, takenAddresses, used)),
    ...(await releaseUnused(context, nodePortAllocations as Kind, takenPorts, used)),
  ];
  return waits.length > 0 ? { requeueAfter: Math.min(...waits) } : undefined;
}

/** Allocates what a service uses and no allocation holds, since it could otherwise be given to another service. */
async function allocateMissing(
  context: ControllerContext,
  service: Service,
  takenAddresses: readonly IPAddress[],
  takenPorts: readonly NodePortAllocation[],
): Promise<void> {
  const { client } = context;
  const { namespace = "", name = "" } = service.metadata;
  const { clusterIPs = [], ports: list = [], healthCheckNodePort } = service.spec ?? {};
  const about = { kind: services as Kind, object: service };
  const isTaken = (taken: readonly KubernetesObject[], what: string) =>
    taken.some(({ metadata }) => metadata.name === what);
  for (const ip of clusterIPs) {
    if (ip === "None" || isTaken(takenAddresses, ip)) continue;
    const spec = { parentRef: { group: "", resource: services.plural, namespace, name } };
    const made = await ignoreReasons(["AlreadyExists"], client.create(ipAddresses, { metadata: { name: ip }, spec }));
    const there = made ?? (await ignoreNotFound(client.get(ipAddresses, { name: ip })));
    if (!there || holderOf(there).some((at) => isKey(at, { namespace, name }))) continue;
    const message = `Cluster IP [${ip.includes(":") ? "IPv6" : "IPv4"}]:${ip} was assigned to multiple services; please recreate service`;
    context.record(about, "Warning", "ClusterIPAlreadyAllocated", message);
  }
  const numbers = [healthCheckNodePort, ...list.map(({ nodePort }) => nodePort)];
  for (const port of new Set(numbers.filter((number): number is number => !!number))) {
    if (isTaken(takenPorts, String(port))) continue;
    const made = { metadata: { name: String(port) }, spec: { namespace, name } };
    const taken = await ignoreReasons(["AlreadyExists"], client.create(nodePortAllocations, made));
    const there = taken ?? (await ignoreNotFound(client.get(nodePortAllocations, { name: String(port) })));
    if (!there || owner(there).some((at) => isKey(at, { namespace, name }))) continue;
    const message = `Port ${port} was assigned to multiple services; please recreate service`;
    context.record(about, "Warning", "PortAlreadyAllocated", message, "portallocator-repair-controller");
  }
}

const isKey = (a: Key, b: Key): boolean => a.name === b.name && a.namespace === b.namespace;

/**
 * Deletes allocations that are neither used nor recent. Returns how long to wait for the recent ones, in milliseconds.
 */
async function releaseUnused(
  { client, clock }: ControllerContext,
  kind: Kind,
  taken: readonly KubernetesObject[],
  used: ReadonlySet<string>,
): Promise<number[]> {
  const waits: number[] = [];
  for (const { metadata } of taken) {
    const { name = "", uid, creationTimestamp = "" } = metadata;
    if (used.has(name)) continue;
    const left = parseTime(creationTimestamp) + inFlight - clock.now();
    if (left > 0) waits.push(left);
    else await ignoreReasons(["NotFound", "Conflict"], client.remove(kind, { name }, { uid }));
  }
  return waits;
}
