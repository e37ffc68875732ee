import {
  type FieldError,
  formatIp,
  invalidValue,
  ipAddresses,
  type Kind,
  type KubernetesObject,
  nodePortAllocations,
  parseCidr,
  parseIp,
  type Service,
  serviceCidrs,
  services,
} from "#api";
import { type ApiError, internalError, invalid, isReason, type Random } from "#base";
import type { AdmissionContext, AdmissionRequest, Plugin } from "../port.ts";
import { setFamilies } from "./service-families.ts";

/** The range of node ports, both ends included. */
export interface AllocationRanges {
  nodePorts: { first: number; last: number };
}

interface Owner {
  namespace: string;
  name: string;
}

/**
 * Allocates cluster IPs and node ports. Each is allocated by creating a unique object (IPAddress, NodePortAllocation)
 * before the service is written, and released after the service has been deleted or no longer uses it. A crash between
 * the two leaves an object whose service does not use it: the allocator-repair controller finds those.
 */
export const serviceAllocation = ({ nodePorts }: AllocationRanges): Plugin => {
  const taken = new WeakMap<object, (() => Promise<void>)[]>();
  /** The allocations that a write releases, by uid: the name alone may belong to another service by then. */
  const leaving = new WeakMap<object, (() => Promise<void>)[]>();
  return {
    name: "ServiceAllocation",
    async mutate(request, context) {
      if (!isService(request)) return;
      if (request.operation === "DELETE") {
        leaving.set(request, await lettingGo(request, context));
        return;
      }
      const service = request.object as Service;
      const before = request.previous as Service | undefined;
      if (!service.spec) return;
      const undo: (() => Promise<void>)[] = [];
      taken.set(request, undo);
      const owner = { namespace: request.namespace, name: service.metadata.name ?? request.name };
      const take = { context, owner, dryRun: request.dryRun, undo };
      try {
        await takeAddress(service, before, take);
        await takePorts(service, before, take, nodePorts);
      } catch (error) {
        for (const back of undo) await back();
        throw error;
      }
      if (before) leaving.set(request, await lettingGo(request, context));
    },
    async undo(request) {
      for (const back of taken.get(request) ?? []) await back();
    },
    // Allocations of a service that an update removes, with its last finalizer, are released by the controller.
    async settle(request) {
      for (const back of leaving.get(request) ?? []) await back();
    },
  };
};

const isService = ({ kind, subresource }: AdmissionRequest): boolean =>
  (kind as unknown) === services && subresource === "";

const none = "None";

/** The allocations of a stored service. */
function held(service: Service | undefined): { addresses: Set<string>; ports: Set<number> } {
  const { clusterIPs, ports: list, healthCheckNodePort } = service?.spec ?? {};
  const numbers = [healthCheckNodePort, ...(list ?? []).map(({ nodePort }) => nodePort)];
  return {
    addresses: new Set((clusterIPs ?? []).filter((ip) => ip !== none && ip !== "")),
    ports: new Set(numbers.filter((port): port is number => !!port)),
  };
}

/** Releases the allocations that a write no longer uses, as far as they are the service's own now. */
async function lettingGo(request: AdmissionRequest, { client }: AdmissionContext): Promise<(() => Promise<void>)[]> {
  const [had, has] = [held(request.previous as Service), held(request.object as Service | undefined)];
  const { namespace, name } = request;
  const isMine = (owner: { namespace?: string | undefined; name?: string } | undefined): boolean =>
    owner?.namespace === namespace && owner.name === name;
  const back: (() => Promise<void>)[] = [];
  for (const ip of had.addresses.difference(has.addresses)) {
    const there = await present(client.get(ipAddresses, { name: ip }));
    if (!there || !isMine(there.spec?.parentRef)) continue;
    back.push(() => give(client.delete(ipAddresses, { name: ip }, { uid: there.metadata.uid })));
  }
  for (const port of had.ports.difference(has.ports)) {
    const there = await present(client.get(nodePortAllocations, { name: String(port) }));
    if (!there || !isMine(there.spec)) continue;
    back.push(() => give(client.delete(nodePortAllocations, { name: String(port) }, { uid: there.metadata.uid })));
  }
  return back;
}

async function present<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (isReason(error, "NotFound")) return undefined;
    throw error;
  }
}

const hasAddress = (service: Service | undefined): boolean =>
  service?.spec !== undefined && service.spec.type !== "ExternalName";
const hasNodePorts = ({ spec }: Service): boolean =>
  spec?.type === "NodePort" || (spec?.type === "LoadBalancer" && spec.allocateLoadBalancerNodePorts !== false);

interface Take {
  context: AdmissionContext;
  owner: Owner;
  dryRun: boolean;
  undo: (() => Promise<void>)[];
}

const refuse = ({ owner }: Take, errors: FieldError[]): ApiError =>
  invalid({ group: "", kind: services.kind }, owner.name, errors);

async function takeAddress(service: Service, before: Service | undefined, take: Take): Promise<void> {
  const spec = service.spec!;
  if (!hasAddress(service)) return;
  if (spec.clusterIP && !spec.clusterIPs?.length) spec.clusterIPs = [spec.clusterIP];
  const asked = spec.clusterIP ?? "";
  if (asked === none) spec.clusterIPs ??= [none];
  const wrong = setFamilies(service, before);
  if (wrong.length > 0) throw refuse(take, wrong);
  if (asked === none) return;
  if (asked === "") {
    const ip = await anyAddress(take);
    spec.clusterIP = ip;
    spec.clusterIPs = [ip];
    return;
  }
  spec.clusterIP = asked;
  spec.clusterIPs ??= [asked];
  if (held(before).addresses.has(asked)) return;
  const failed = (why: string) =>
    refuse(take, [invalidValue("spec.clusterIPs", spec.clusterIPs, `failed to allocate IP ${asked}: ${why}`)]);
  const { cidrs } = await pool(take.context);
  const address = parseIp(asked);
  if (!address || !cidrs.some((cidr) => inside(cidr, address.value))) {
    throw failed(`the provided IP (${asked}) is not in the valid range`);
  }
  if (!(await takeOne(ipAddresses, asked, addressSpec(take.owner), take)))
    throw failed("provided IP is already allocated");
}

type Cidr = NonNullable<ReturnType<typeof parseCidr>>;
const sizeOf = ({ prefix }: Cidr): bigint => 1n << BigInt(32 - prefix);
/** The first address names the block and the last is its broadcast: neither is allocated. */
const inside = (cidr: Cidr, value: bigint): boolean => value > cidr.value && value < cidr.value + sizeOf(cidr) - 1n;

async function pool({ client }: AdmissionContext): Promise<{ cidrs: Cidr[] }> {
  const { items } = await client.list(serviceCidrs);
  const cidrs = items
    .filter(({ metadata }) => !metadata.deletionTimestamp)
    .flatMap(({ spec }) => spec?.cidrs ?? [])
    .map((text) => parseCidr(text))
    .filter((cidr): cidr is Cidr => cidr !== undefined && cidr.version === 4);
  if (cidrs.length === 0) throw internalError("failed to allocate a serviceIP: there is no ServiceCIDR");
  return { cidrs };
}

const addressSpec = ({ namespace, name }: Owner): object => ({
  parentRef: { group: services.group, resource: services.plural, namespace, name },
});

const randomTries = 16;

/** The lower band is left to services that request an address, as in upstream. */
const reserved = (size: bigint): bigint => {
  const sixteenth = size / 16n;
  if (sixteenth < 16n) return size > 16n ? 16n : 0n;
  return sixteenth > 256n ? 256n : sixteenth;
};

async function anyAddress(take: Take): Promise<string> {
  const { cidrs } = await pool(take.context);
  const { random } = take.context;
  for (const cidr of cidrs) {
    const size = sizeOf(cidr);
    const low = reserved(size);
    for (let attempt = 0; attempt < randomTries; attempt++) {
      const ip = formatIp({ version: 4, value: cidr.value + low + below(random, size - low - 1n) });
      if (inside(cidr, parseIp(ip)!.value) && (await takeOne(ipAddresses, ip, addressSpec(take.owner), take)))
        return ip;
    }
  }
  // Random choice does not find the last free ones: list all allocations.
  const used = new Set((await take.context.client.list(ipAddresses)).items.map(({ metadata }) => metadata.name));
  for (const cidr of cidrs) {
    for (let value = cidr.value + 1n; inside(cidr, value); value++) {
      const ip = formatIp({ version: 4, value });
      if (!used.has(ip) && (await takeOne(ipAddresses, ip, addressSpec(take.owner), take))) return ip;
    }
  }
  throw internalError("failed to allocate a serviceIP: range is full");
}

function below(random: Random, limit: bigint): bigint {
  let value = 0n;
  for (const byte of random.bytes(8)) value = (value << 8n) | BigInt(byte);
  return limit <= 0n ? 0n : value % limit;
}

async function takePorts(
  service: Service,
  before: Service | undefined,
  take: Take,
  range: AllocationRanges["nodePorts"],
): Promise<void> {
  const type = service.spec?.type;
  if (type !== "NodePort" && type !== "LoadBalancer") return;
  const given = hasNodePorts(service);
  const mine = new Set(held(before).ports);
  const now = new Set<number>();
  const spec = { namespace: take.owner.namespace, name: take.owner.name };
  const one = async (field: string, port: number): Promise<void> => {
    if (mine.has(port) || now.has(port)) return;
    if (port < range.first || port > range.last) {
      const why = `provided port is not in the valid range. The range of valid ports is ${range.first}-${range.last}`;
      throw refuse(take, [invalidValue(field, port, why)]);
    }
    if (!(await takeOne(nodePortAllocations, String(port), spec, take))) {
      throw refuse(take, [invalidValue(field, port, "provided port is already allocated")]);
    }
    now.add(port);
  };
  const list = service.spec!.ports ?? [];
  // Requested numbers are allocated first: a random choice could use them.
  for (const [index, { nodePort }] of list.entries())
    if (nodePort) await one(`spec.ports[${index}].nodePort`, nodePort);
  for (const port of list) if (!port.nodePort && given) port.nodePort = await anyPort(take, spec, range);
  if (type !== "LoadBalancer" || service.spec!.externalTrafficPolicy !== "Local") return;
  const { healthCheckNodePort } = service.spec!;
  if (healthCheckNodePort) await one("spec.healthCheckNodePort", healthCheckNodePort);
  else service.spec!.healthCheckNodePort = await anyPort(take, spec, range);
}

async function anyPort(take: Take, spec: object, { first, last }: AllocationRanges["nodePorts"]): Promise<number> {
  const size = BigInt(last - first + 1);
  for (let attempt = 0; attempt < randomTries; attempt++) {
    const port = first + Number(below(take.context.random, size));
    if (await takeOne(nodePortAllocations, String(port), spec, take)) return port;
  }
  const used = new Set(
    (await take.context.client.list(nodePortAllocations)).items.map(({ metadata }) => Number(metadata.name)),
  );
  for (let port = first; port <= last; port++) {
    if (!used.has(port) && (await takeOne(nodePortAllocations, String(port), spec, take))) return port;
  }
  throw internalError("failed to allocate a nodePort: range is full");
}

/** Allocates one by creating its object; false when it is allocated already. A dry run only checks. */
async function takeOne<T extends KubernetesObject>(
  kind: Kind<T>,
  name: string,
  spec: object,
  take: Take,
): Promise<boolean> {
  const { client } = take.context;
  let uid: string | undefined;
  try {
    const made = { metadata: { name }, spec } as unknown as T;
    uid = (await client.create(kind, made, take.dryRun ? { dryRun: true } : {})).metadata.uid;
  } catch (error) {
    if (isReason(error, "AlreadyExists")) return false;
    throw error;
  }
  if (!take.dryRun) take.undo.push(() => give(client.delete(kind, { name }, { uid })));
  return true;
}

/** Releasing an object that is gone, or has been created again, succeeds. */
async function give(removal: Promise<unknown>): Promise<void> {
  try {
    await removal;
  } catch (error) {
    if (!isReason(error, "NotFound") && !isReason(error, "Conflict")) throw error;
  }
}
