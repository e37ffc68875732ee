import type { EndpointSlice, Service } from "#api";
import { type ResourceRecord, rcodes, types } from "./message.ts";
import { isInZone, labelsOf, longestName, nameOf, parseName } from "./name.ts";
import {
  type Address,
  addressOf,
  addressRecord,
  nameRecord,
  type ServiceLocation,
  soaRecord,
  srvRecord,
  txtRecord,
} from "./records.ts";
import { type ServiceEntry, type ServiceFacts, ServiceIndex } from "./service-index.ts";

export interface ZoneOptions {
  /** Such as `cluster.local`. */
  domain: string;
  /** Of records and of the SOA, in seconds. Defaults to 30, as in the usual Corefile. */
  ttl?: number;
  /** The server's own addresses: of `ns.dns.<domain>` while the service of the server does not exist. */
  addresses: readonly string[];
  /** The service of the server, as `namespace/name`. Defaults to `kube-system/kube-dns`. */
  service?: string;
  /** Seconds since the epoch, for the serial of the SOA. */
  now: () => number;
}

/** An answer of the zone. It is valid until the next change of the zone. */
export interface ZoneAnswer {
  rcode: number;
  answers: readonly ResourceRecord[];
  authorities: readonly ResourceRecord[];
  additionals: readonly ResourceRecord[];
  /** The name that continues the answer: the target of an ExternalName service. */
  alias?: string;
}

/** What a name leads to; `hosts` may be empty: the name exists without addresses. */
type Found = { hosts: Host[]; entry?: ServiceEntry<ZoneAnswer> } | { external: string } | undefined;

interface Host {
  address: Address;
  /** Undefined: no SRV record leads to it. */
  port: number | undefined;
  /** The owner of its address record in answers to SRV. */
  target: string;
}

/** The version of the specification, at `dns-version`. */
const schemaVersion = "1.1.0";

/** Types whose answers are stored with their service; they are the usual ones. */
const storedTypes: ReadonlySet<number> = new Set([types.A, types.AAAA, types.SRV]);

const reverse4 = parseName("in-addr.arpa")!;
const reverse6 = parseName("ip6.arpa")!;

/**
 * The records of a cluster's services, endpoints and pods, by the rules of CoreDNS's kubernetes plugin with the options
 * of kubeadm's Corefile: `pods insecure`, `ttl 30`, `fallthrough in-addr.arpa ip6.arpa`. Without input or output.
 */
export class Zone {
  /** In wire form; see `name.ts`. */
  readonly name: string;
  readonly #ttl: number;
  readonly #addresses: Address[];
  readonly #server: { namespace: string; name: string };
  readonly #now: () => number;
  readonly #index = new ServiceIndex<ZoneAnswer>();
  readonly #namespaces = new Set<string>();
  #serial: number;
  #soa: ResourceRecord;

  /** Throws an Error for a domain that is no name. */
  constructor({ domain, ttl = 30, addresses, service = "kube-system/kube-dns", now }: ZoneOptions) {
    const name = parseName(domain.toLowerCase());
    if (!name) throw new Error(`the cluster domain ${domain} is not a domain name`);
    this.name = name;
    this.#ttl = ttl;
    this.#addresses = addresses.map(addressOf).filter((address) => address !== undefined);
    const [namespace = "", serviceName = ""] = service.split("/");
    this.#server = { namespace, name: serviceName };
    this.#now = now;
    this.#serial = now();
    this.#soa = soaRecord(name, this.#serial, ttl);
  }

  setService(service: Service): void {
    this.#index.setService(service);
    this.#changed();
  }

  deleteService(service: Service): void {
    this.#index.deleteService(service);
    this.#changed();
  }

  setSlice(slice: EndpointSlice): void {
    this.#index.setSlice(slice);
    this.#changed();
  }

  deleteSlice(slice: EndpointSlice): void {
    this.#index.deleteSlice(slice);
    this.#changed();
  }

  setNamespace(name: string): void {
    this.#namespaces.add(name);
  }

  deleteNamespace(name: string): void {
    this.#namespaces.delete(name);
  }

  /**
   * The answer for a name in lower case. Undefined where other servers have it: names outside of the zone, and
   * addresses of neither services nor endpoints.
   */
  answer(name: string, type: number): ZoneAnswer | undefined {
    if (!isInZone(name, this.name)) return this.#reverse(name, type);
    if (type === types.AXFR || type === types.IXFR) return this.#failed(rcodes.REFUSED, []);
    const labels = labelsOf(name.slice(0, name.length - this.name.length));
    if (type === types.SOA) return labels.length === 0 ? this.#records([this.#soa]) : this.noData();
    if (type === types.NS && labels.length === 0) return this.#nameservers(name);
    if (type === types.TXT) return this.#text(name, labels);
    if (labels.length === 2 && labels[0] === "ns" && labels[1] === "dns" && type !== types.PTR) {
      return this.#orNoData(
        this.#ownAddresses().map((address) => addressRecord(name, address, this.#ttl)),
        type,
      );
    }
    if (labels.at(-1) === "svc" && labels.length >= 3) return this.#ofService(name, labels, type);
    const found = this.#find(labels);
    return found ? this.#answerOf(name, type, found) : this.#nxDomain();
  }

  /** The answer for a name that exists without records of the type. */
  noData(): ZoneAnswer {
    return this.#failed(rcodes.NOERROR, [this.#soa]);
  }

  #changed(): void {
    const now = this.#now();
    if (now === this.#serial) return;
    this.#serial = now;
    this.#soa = soaRecord(this.name, now, this.#ttl);
  }

  /** As `find` and `answerOf`, with the answers that the service stores. */
  #ofService(name: string, labels: string[], type: number): ZoneAnswer {
    const entry = this.#index.get(labels.at(-3)!, labels.at(-2)!);
    const isStored = storedTypes.has(type);
    const key = `${type} ${name}`;
    const stored = isStored && this.#namespaces.has(labels.at(-2)!) ? entry?.answers.get(key) : undefined;
    if (stored) return stored;
    const found = this.#find(labels);
    if (!found) return this.#nxDomain();
    const answer = this.#answerOf(name, type, found);
    // Answers without records hold the SOA, whose serial changes with every service.
    if (isStored && answer.answers.length > 0) entry?.answers.set(key, answer);
    return answer;
  }

  #answerOf(name: string, type: number, found: NonNullable<Found>): ZoneAnswer {
    if ("external" in found) {
      const alias = nameRecord(name, types.CNAME, found.external, this.#ttl);
      if (type === types.CNAME) return this.#records([alias]);
      // A name that leads to itself has no answer.
      if (found.external === name || (type !== types.A && type !== types.AAAA)) return this.noData();
      return { ...this.#records([alias]), alias: found.external };
    }
    if (type === types.SRV) return this.#locations(name, found.hosts);
    const addresses = new Map(found.hosts.map(({ address }) => [address.text, address]));
    return this.#orNoData(
      [...addresses.values()].map((address) => addressRecord(name, address, this.#ttl)),
      type,
    );
  }

  /** SRV records, with the addresses of their targets (plugin.SRV in CoreDNS). */
  #locations(name: string, hosts: Host[]): ZoneAnswer {
    const weight = Math.max(1, Math.floor(100 / hosts.length));
    const locations = new Map<string, ServiceLocation>();
    const addresses = new Map<string, ResourceRecord>();
    for (const { address, port, target } of hosts) {
      if (port === undefined) continue;
      locations.set(`${target} ${port}`, { weight, port, target });
      addresses.set(`${target} ${address.text}`, addressRecord(target, address, this.#ttl));
    }
    if (locations.size === 0) return this.noData();
    const answers = [...locations.values()].map((location) => srvRecord(name, location, this.#ttl));
    return this.#records(answers, [...addresses.values()]);
  }

  /** What the labels before the zone lead to (parseRequest and Records in CoreDNS). Undefined: they do not exist. */
  #find(labels: string[]): Found {
    const kind = labels.at(-1);
    if (kind === undefined) return { hosts: [] };
    if (kind !== "svc" && kind !== "pod") return undefined;
    const namespace = labels.at(-2);
    if (namespace === undefined) return { hosts: [] };
    if (labels.length > 5 || !this.#namespaces.has(namespace)) return undefined;
    const name = labels.at(-3);
    if (name === undefined) return { hosts: [] };
    if (kind === "pod") return this.#findPod(name, namespace);
    const entry = this.#index.get(name, namespace);
    const service = entry?.service;
    if (!service) return undefined;
    const selection = selectionOf(labels.slice(0, -3));
    if (service.externalName !== undefined) return findExternal(service.externalName, selection);
    const path = this.#path(name, namespace);
    if (!path) return undefined;
    return service.headless || selection.endpoint !== ""
      ? findEndpoints(entry, path, selection)
      : findClusterIps(service, path, selection);
  }

  /** `1-2-3-4.<namespace>.pod`, whether or not the pod exists. */
  #findPod(label: string, namespace: string): Found {
    const isIpv4 = label.split("-").length === 4 && !label.includes("--");
    // Go's parser refuses leading zeros.
    const text = isIpv4 ? (/(^|-)0\d/.test(label) ? "" : label.replaceAll("-", ".")) : label.replaceAll("-", ":");
    const address = addressOf(text);
    if (!address) return undefined;
    const target = nameOf([label, namespace, "pod"])! + this.name;
    return { hosts: [{ address, port: 0, target }] };
  }

  /** Undefined when it is longer than a name may be. */
  #path(name: string, namespace: string): string | undefined {
    const path = nameOf([name, namespace, "svc"]);
    return path !== undefined && path.length + this.name.length <= longestName ? path + this.name : undefined;
  }

  #text(name: string, labels: string[]): ZoneAnswer {
    if (labels.length === 1 && labels[0] === "dns-version")
      return this.#records([txtRecord(name, schemaVersion, this.#ttl)]);
    const found = this.#find(labels);
    // CoreDNS denies names that exist without records, too.
    return found && ("external" in found || found.hosts.length > 0) ? this.noData() : this.#nxDomain();
  }

  #nameservers(zone: string): ZoneAnswer {
    const { name, namespace } = this.#server;
    const hasService = (this.#index.get(name, namespace)?.service?.addresses.length ?? 0) > 0;
    const server = hasService ? nameOf([name, namespace, "svc"])! + zone : parseName("ns.dns")! + zone;
    const addresses = this.#ownAddresses().map((address) => addressRecord(server, address, this.#ttl));
    return addresses.length === 0
      ? this.noData()
      : this.#records([nameRecord(zone, types.NS, server, this.#ttl)], addresses);
  }

  #ownAddresses(): Address[] {
    const addresses = this.#index.get(this.#server.name, this.#server.namespace)?.service?.addresses ?? [];
    return addresses.length > 0 ? addresses : this.#addresses;
  }

  /** The services and endpoints at an address. */
  #reverse(name: string, type: number): ZoneAnswer | undefined {
    if (type !== types.PTR) return undefined;
    const address = addressOfReverse(name);
    if (address === undefined) return undefined;
    const service = this.#index.withClusterIp(address);
    const owners = service ? [this.#path(service.name, service.namespace)] : this.#endpointsAt(address);
    const targets = [...new Set(owners)].filter((owner) => owner !== undefined);
    if (targets.length === 0) return undefined;
    return this.#records(targets.map((target) => nameRecord(name, types.PTR, target, this.#ttl)));
  }

  #endpointsAt(address: string): (string | undefined)[] {
    return [...this.#index.withEndpoint(address)].flatMap(({ name, namespace, slices }) => {
      const path = this.#path(name, namespace);
      return [...slices.values()].flatMap(({ endpoints }) =>
        endpoints
          .filter((endpoint) => endpoint.address.text === address)
          .map(({ hostname }) => (path === undefined ? undefined : below(hostname, path))),
      );
    });
  }

  #orNoData(records: ResourceRecord[], type: number): ZoneAnswer {
    const answers = records.filter((record) => record.type === type);
    return answers.length > 0 ? this.#records(answers) : this.noData();
  }

  #records(answers: ResourceRecord[], additionals: ResourceRecord[] = []): ZoneAnswer {
    return { rcode: rcodes.NOERROR, answers, authorities: [], additionals };
  }

  #nxDomain(): ZoneAnswer {
    return this.#failed(rcodes.NXDOMAIN, [this.#soa]);
  }

  #failed(rcode: number, authorities: ResourceRecord[]): ZoneAnswer {
    return { rcode, answers: [], authorities, additionals: [] };
  }
}

/** What the labels before a service's name select; empty strings select everything. */
interface Selection {
  endpoint: string;
  port: string;
  protocol: string;
}

const withoutUnderscore = (label: string): string => (label.startsWith("_") ? label.slice(1) : label);

function selectionOf([first = "", second]: string[]): Selection {
  if (second === undefined) return { endpoint: first, port: "", protocol: "" };
  return { endpoint: "", port: withoutUnderscore(first), protocol: withoutUnderscore(second) };
}

const isSelected = ({ port, protocol }: Selection, candidate: { name: string; protocol: string }): boolean =>
  (port === "" || port === candidate.name.toLowerCase()) &&
  (protocol === "" || protocol === candidate.protocol.toLowerCase());

function findExternal(host: string, { endpoint, port, protocol }: Selection): Found {
  if (endpoint !== "" || port !== "" || protocol !== "" || addressOf(host)) return undefined;
  const external = parseName(host.toLowerCase());
  return external === undefined ? undefined : { external };
}

function findClusterIps(service: ServiceFacts, path: string, selection: Selection): Found {
  const ports = service.ports.filter((port) => isSelected(selection, port));
  if (ports.length === 0) return undefined;
  return {
    hosts: ports.flatMap(({ number }) => service.addresses.map((address) => ({ address, port: number, target: path }))),
  };
}

function findEndpoints({ slices }: ServiceEntry<ZoneAnswer>, path: string, selection: Selection): Found {
  const hosts: Host[] = [];
  for (const { endpoints, ports } of slices.values()) {
    const selected = ports.filter((port) => isSelected(selection, port));
    for (const { address, hostname } of endpoints) {
      if (selection.endpoint !== "" && selection.endpoint !== hostname) continue;
      const target = below(hostname, path);
      if (target === undefined) continue;
      for (const { number } of selected) hosts.push({ address, port: number, target });
    }
  }
  return hosts.length > 0 ? { hosts } : undefined;
}

function below(hostname: string, path: string): string | undefined {
  const label = nameOf([hostname]);
  return label !== undefined && label.length + path.length <= longestName ? label + path : undefined;
}

/** The canonical address of a name below in-addr.arpa or ip6.arpa; undefined for all others. */
function addressOfReverse(name: string): string | undefined {
  const parts = (zone: string): string[] => labelsOf(name.slice(0, name.length - zone.length)).toReversed();
  if (isInZone(name, reverse4)) {
    const octets = parts(reverse4);
    return octets.every((octet) => /^(0|[1-9]\d*)$/.test(octet)) ? addressOf(octets.join("."))?.text : undefined;
  }
  if (!isInZone(name, reverse6)) return undefined;
  const digits = parts(reverse6);
  if (digits.length !== 32 || !digits.every((digit) => /^[0-9a-f]$/.test(digit))) return undefined;
  return addressOf(digits.join("").replace(/(.{4})(?=.)/g, "$1:"))?.text;
}
