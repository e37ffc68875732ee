import type { EndpointSlice, Service } from "#api";
import { type Address, addressOf } from "./records.ts";

export interface Port {
  name: string;
  protocol: string;
  /** Undefined where the object lists no ports, or no number. */
  number: number | undefined;
}

export interface Endpoint {
  address: Address;
  /** The label before the service's name. */
  hostname: string;
}

interface EndpointGroup {
  endpoints: Endpoint[];
  ports: Port[];
}

/** What the records of one service depend on. */
export interface ServiceFacts {
  name: string;
  namespace: string;
  /** Present for the type ExternalName only. */
  externalName?: string;
  headless: boolean;
  addresses: Address[];
  ports: Port[];
}

/** A service with its slices; either may exist without the other. Replaced parts are new objects. */
export class ServiceEntry<Answer> {
  readonly name: string;
  readonly namespace: string;
  service: ServiceFacts | undefined;
  readonly slices = new Map<string, EndpointGroup>();
  /** Answers about names of the service, for as long as nothing of it changes. */
  readonly answers = new Map<string, Answer>();

  constructor(name: string, namespace: string) {
    this.name = name;
    this.namespace = namespace;
  }
}

/**
 * Services and their endpoints by name and by address. A change costs what its own object is large; the key of objects
 * is `name.namespace`.
 */
export class ServiceIndex<Answer> {
  readonly #entries = new Map<string, ServiceEntry<Answer>>();
  /** The service that a slice belonged to when it was seen last. */
  readonly #serviceOfSlice = new Map<string, string>();
  readonly #byClusterIp = new Map<string, Set<ServiceEntry<Answer>>>();
  readonly #byEndpoint = new Map<string, Set<ServiceEntry<Answer>>>();

  get(name: string, namespace: string): ServiceEntry<Answer> | undefined {
    return this.#entries.get(`${name}.${namespace}`);
  }

  /** The service with this cluster IP. */
  withClusterIp(address: string): ServiceEntry<Answer> | undefined {
    for (const entry of this.#byClusterIp.get(address) ?? []) return entry;
    return undefined;
  }

  /** Services with an endpoint at this address. */
  withEndpoint(address: string): Iterable<ServiceEntry<Answer>> {
    return this.#byEndpoint.get(address) ?? [];
  }

  setService(service: Service): void {
    const { name = "", namespace = "" } = service.metadata;
    this.#replaceService(`${name}.${namespace}`, name, namespace, serviceFacts(service));
  }

  deleteService({ metadata: { name = "", namespace = "" } }: Service): void {
    this.#replaceService(`${name}.${namespace}`, name, namespace, undefined);
  }

  setSlice(slice: EndpointSlice): void {
    const { name = "", namespace = "", labels } = slice.metadata;
    const service = labels?.["kubernetes.io/service-name"];
    const key = `${name}.${namespace}`;
    if (this.#serviceOfSlice.get(key) !== service) this.#replaceSlice(key, namespace, undefined);
    if (service === undefined) return;
    this.#serviceOfSlice.set(key, service);
    this.#replaceSlice(key, namespace, groupOf(slice));
  }

  deleteSlice({ metadata: { name = "", namespace = "" } }: EndpointSlice): void {
    this.#replaceSlice(`${name}.${namespace}`, namespace, undefined);
  }

  #replaceService(key: string, name: string, namespace: string, facts: ServiceFacts | undefined): void {
    const entry = this.#entry(key, name, namespace);
    for (const { text } of entry.service?.addresses ?? []) remove(this.#byClusterIp, text, entry);
    entry.service = facts;
    for (const { text } of facts?.addresses ?? []) add(this.#byClusterIp, text, entry);
    this.#settle(key, entry);
  }

  #replaceSlice(slice: string, namespace: string, group: EndpointGroup | undefined): void {
    const service = this.#serviceOfSlice.get(slice);
    if (service === undefined) return;
    const key = `${service}.${namespace}`;
    const entry = this.#entry(key, service, namespace);
    const before = entry.slices.get(slice)?.endpoints ?? [];
    if (group) entry.slices.set(slice, group);
    else {
      entry.slices.delete(slice);
      this.#serviceOfSlice.delete(slice);
    }
    const addresses = new Set<string>();
    for (const { endpoints } of entry.slices.values()) for (const { address } of endpoints) addresses.add(address.text);
    for (const { address } of before) if (!addresses.has(address.text)) remove(this.#byEndpoint, address.text, entry);
    for (const { address } of group?.endpoints ?? []) add(this.#byEndpoint, address.text, entry);
    this.#settle(key, entry);
  }

  #entry(key: string, name: string, namespace: string): ServiceEntry<Answer> {
    let entry = this.#entries.get(key);
    if (!entry) {
      entry = new ServiceEntry(name, namespace);
      this.#entries.set(key, entry);
    }
    return entry;
  }

  #settle(key: string, entry: ServiceEntry<Answer>): void {
    entry.answers.clear();
    if (!entry.service && entry.slices.size === 0) this.#entries.delete(key);
  }
}

function add<V>(map: Map<string, Set<V>>, key: string, value: V): void {
  const values = map.get(key);
  if (values) values.add(value);
  else map.set(key, new Set([value]));
}

function remove<V>(map: Map<string, Set<V>>, key: string, value: V): void {
  const values = map.get(key);
  values?.delete(value);
  if (values?.size === 0) map.delete(key);
}

/** Where no port is listed, names without a port exist all the same (object.ToService in CoreDNS). */
const noPorts: Port[] = [{ name: "", protocol: "", number: undefined }];

function serviceFacts({ metadata: { name = "", namespace = "" }, spec }: Service): ServiceFacts {
  const ports = (spec?.ports ?? []).map(
    ({ name: port = "", protocol = "TCP", port: number }): Port => ({ name: port, protocol, number }),
  );
  const ips = spec?.clusterIPs?.length ? spec.clusterIPs : [spec?.clusterIP ?? ""];
  const isExternal = spec?.type === "ExternalName";
  return {
    name,
    namespace,
    ...(isExternal ? { externalName: spec?.externalName ?? "" } : {}),
    headless: ips[0] === "None",
    addresses: isExternal ? [] : ips.map(addressOf).filter((address) => address !== undefined),
    ports: ports.length > 0 ? ports : noPorts,
  };
}

function groupOf({ endpoints = [], ports = [] }: EndpointSlice): EndpointGroup {
  return {
    // An unknown state counts as ready.
    endpoints: endpoints
      .filter(({ conditions }) => conditions?.ready ?? true)
      .flatMap(({ addresses, hostname = "" }) =>
        addresses.flatMap((text) => {
          const address = addressOf(text);
          return address ? [{ address, hostname: (hostname || hostnameOf(text)).toLowerCase() }] : [];
        }),
      ),
    ports:
      ports.length > 0
        ? ports.map(({ name = "", protocol = "", port }) => ({ name, protocol, number: port }))
        : noPorts,
  };
}

/** The generated name of an endpoint without a host name (endpointHostname in CoreDNS's plugin/kubernetes). */
export function hostnameOf(address: string): string {
  if (address.includes(".")) return address.replaceAll(".", "-");
  const name = address.replaceAll(":", "-");
  return name.endsWith("-") ? `${name}0` : name;
}
