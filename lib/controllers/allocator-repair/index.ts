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
  const needed = service ? neededBy(service) : [];
  const taken = new Set([...takenAddresses, ...takenPorts].map(({ metadata }) => metadata.name));
  for (const each of needed) if (!taken.has(each.object.metadata.name)) await allocateMissing(context, service!, each);
  const used = new Set(needed.map(({ object }) => object.metadata.name));
  const waits = [
    ...(await releaseUnused(context, ipAddresses as Kind, takenAddresses, used)),
    ...(await releaseUnused(context, nodePortAllocations as Kind, takenPorts, used)),
  ];
  return waits.length > 0 ? { requeueAfter: Math.min(...waits) } : undefined;
}

/** An address or port that a service uses: the allocation, and the event for one that another service holds. */
interface Needed {
  kind: Kind;
  object: KubernetesObject;
  holdersOf(allocation: KubernetesObject): Key[];
  reason: string;
  message: string;
  component?: string;
}

function neededBy({ metadata, spec }: Service): Needed[] {
  if (!spec || spec.type === "ExternalName") return [];
  const { namespace = "", name = "" } = metadata;
  const { clusterIPs = [], ports = [], healthCheckNodePort } = spec;
  const parentRef = { group: "", resource: services.plural, namespace, name };
  const addresses = clusterIPs
    .filter((ip) => ip !== "None")
    .map((ip) => ({
      kind: ipAddresses as Kind,
      object: { metadata: { name: ip }, spec: { parentRef } },
      holdersOf: holderOf,
      reason: "ClusterIPAlreadyAllocated",
      message: `Cluster IP [${ip.includes(":") ? "IPv6" : "IPv4"}]:${ip} was assigned to multiple services; please recreate service`,
    }));
  const numbers = [healthCheckNodePort, ...ports.map(({ nodePort }) => nodePort)].filter((number) => !!number);
  const nodePorts = [...new Set(numbers)].map((port) => ({
    kind: nodePortAllocations as Kind,
    object: { metadata: { name: String(port) }, spec: { namespace, name } },
    holdersOf: owner,
    reason: "PortAlreadyAllocated",
    message: `Port ${port} was assigned to multiple services; please recreate service`,
    component: "portallocator-repair-controller",
  }));
  return [...addresses, ...nodePorts];
}

/** Allocates what a service uses and no allocation holds, since it could otherwise be given to another service. */
async function allocateMissing(context: ControllerContext, service: Service, needed: Needed): Promise<void> {
  const { client, record } = context;
  const { kind, object, holdersOf, reason, message, component } = needed;
  const { namespace, name = "", resourceVersion } = service.metadata;
  const allocation = { name: object.metadata.name ?? "" };
  let found = await ignoreNotFound(client.get(kind, allocation));
  if (!found) {
    // A service that was deleted meanwhile has released its allocations; any other change triggers this key again.
    const current = await ignoreNotFound(client.get(services, { namespace, name }));
    if (current?.metadata.resourceVersion !== resourceVersion) return;
    const created = await ignoreReasons(["AlreadyExists"], client.create(kind, object));
    found = created ?? (await ignoreNotFound(client.get(kind, allocation)));
  }
  if (!found || holdersOf(found).some((at) => isKey(at, { namespace, name }))) return;
  record({ kind: services as Kind, object: service }, "Warning", reason, message, component);
}

const isKey = (a: Key, b: Key): boolean => a.name === b.name && a.namespace === b.namespace;

/**
 * Deletes allocations that are neither used nor recent. Returns how long to wait for the recent ones, in milliseconds.
 */
async function releaseUnused(
  { client, clock }: ControllerContext,
  kind: Kind,
  taken: readonly KubernetesObject[],
  used: ReadonlySet<string | undefined>,
): Promise<number[]> {
  const waits: number[] = [];
  for (const { metadata } of taken) {
    const { name = "", uid, creationTimestamp = "" } = metadata;
    if (used.has(name)) continue;
    const left = parseTime(creationTimestamp) + inFlight - clock.now();
    if (left > 0) waits.push(left);
    else await ignoreReasons(["NotFound", "Conflict"], client.delete(kind, { name }, { uid }));
  }
  return waits;
}
