import { deepEqual } from "#base";
import { validateEndpointIp } from "../../core/addresses.ts";
import {
  ageColumn,
  checkOneOf,
  checkUnique,
  defineKind,
  dnsLabelErrors,
  dnsSubdomainErrors,
  domainNameErrors,
  type FieldError,
  invalidAll,
  invalidValue,
  ipErrors,
  ipWarnings,
  labelKeyErrors,
  labelValueErrors,
  legacyIpErrors,
  nameColumn,
  parseIp,
  requiredValue,
  requireOneOf,
  tooMany,
  validateImmutable,
} from "../../meta/index.ts";
import { type Endpoint, EndpointSlice, type EndpointSlicePort } from "./schema.ts";

export const endpointSlices = defineKind<EndpointSlice>({
  group: "discovery.k8s.io",
  version: "v1",
  kind: "EndpointSlice",
  plural: "endpointslices",
  singular: "endpointslice",
  scope: "Namespaced",
  schema: EndpointSlice,
  defaults(slice) {
    slice.endpoints ??= [];
    for (const endpoint of slice.endpoints) endpoint.conditions ??= {};
    for (const port of slice.ports ?? []) {
      port.name ??= "";
      port.protocol ??= "TCP";
    }
  },
  generation: ({ metadata, ...rest }) => [rest, metadata.labels],
  prepareForCreate: dropTopology,
  prepareForUpdate(next, previous) {
    if (deepEqual(next.endpoints, previous.endpoints)) return;
    // Upstream counts the change before it takes the field off.
    next.metadata.generation = Number(previous.metadata.generation ?? 0) + 1;
    dropTopology(next);
  },
  warnings: (slice, previous) => [
    ...(slice.addressType === "FQDN" && !previous ? ["spec.addressType: FQDN endpoints are deprecated"] : []),
    ...addressWarnings(slice),
  ],
  validate: validateSlice,
  validateUpdate: (next, previous) =>
    validateImmutable(next.addressType ?? "", previous.addressType ?? "", "addressType"),
  columns: [
    nameColumn,
    {
      name: "AddressType",
      type: "string",
      doc: "IPv4, IPv6 or FQDN.",
      value: ({ addressType }) => addressType ?? "",
    },
    {
      name: "Ports",
      type: "string",
      doc: "Ports of the endpoints.",
      value: ({ ports = [] }) =>
        shorten(ports.map(({ port, name }) => (port === undefined ? (name ?? "*") : `${port}`))),
    },
    {
      name: "Endpoints",
      type: "string",
      doc: "Addresses of the endpoints.",
      value: ({ endpoints = [] }) => shorten((endpoints ?? []).flatMap(({ addresses = [] }) => addresses)),
    },
    ageColumn,
  ],
});

/** How many items a column shows before it counts the rest. */
const shown = 3;

function shorten(items: readonly string[]): string {
  if (items.length === 0) return "<unset>";
  const text = items.slice(0, shown).join(",");
  return items.length > shown ? `${text} + ${items.length - shown} more...` : text;
}

/** The field belongs to an older version of the API. */
function dropTopology({ endpoints = [] }: EndpointSlice): void {
  for (const endpoint of endpoints ?? []) delete endpoint.deprecatedTopology;
}

function validateSlice({ addressType, ports = [], endpoints = [] }: EndpointSlice): FieldError[] {
  const errors = requireOneOf("addressType", addressType, ["FQDN", "IPv4", "IPv6"]);
  errors.push(...validatePorts(ports));
  if (endpoints.length > 1000) return [...errors, tooMany("endpoints", endpoints.length, 1000)];
  for (const [index, endpoint] of endpoints.entries()) {
    errors.push(...validateEndpoint(endpoint, addressType ?? "", `endpoints[${index}]`));
  }
  return errors;
}

function validatePorts(ports: readonly EndpointSlicePort[]): FieldError[] {
  if (ports.length > 20000) return [tooMany("ports", ports.length, 20000)];
  const names = new Set<string>();
  return ports.flatMap(({ name = "", protocol, appProtocol }, index) => {
    const at = `ports[${index}]`;
    const errors = name ? invalidAll(`${at}.name`, name, dnsLabelErrors(name)) : [];
    errors.push(...checkUnique(`${at}.name`, name, names));
    errors.push(...checkOneOf(`${at}.protocol`, protocol, ["SCTP", "TCP", "UDP"]));
    if (appProtocol === undefined) return errors;
    return [...errors, ...invalidAll(`${at}.appProtocol`, appProtocol, labelKeyErrors(appProtocol))];
  });
}

function validateEndpoint(endpoint: Endpoint, addressType: string, at: string): FieldError[] {
  const { addresses = [], nodeName, hostname, hints } = endpoint;
  const path = `${at}.addresses`;
  const errors: FieldError[] = [];
  if (addresses.length === 0) errors.push(requiredValue(path, "must contain at least 1 address"));
  else if (addresses.length > 100) errors.push(tooMany(path, addresses.length, 100));
  for (const [index, address] of addresses.entries()) {
    errors.push(...validateAddress(address, addressType, path, `${path}[${index}]`));
  }
  if (nodeName !== undefined) errors.push(...invalidAll(`${at}.nodeName`, nodeName, dnsSubdomainErrors(nodeName)));
  if (hostname !== undefined) errors.push(...invalidAll(`${at}.hostname`, hostname, dnsLabelErrors(hostname)));
  return hints ? [...errors, ...validateHints(hints, `${at}.hints`)] : errors;
}

function validateAddress(address: string, addressType: string, path: string, field: string): FieldError[] {
  if (addressType === "FQDN") {
    return address === ""
      ? [requiredValue(field)]
      : invalidAll(field, address.replace(/\.$/, ""), domainNameErrors(address));
  }
  if (addressType !== "IPv4" && addressType !== "IPv6") return [];
  const errors = addressType === "IPv4" ? legacyIpErrors(field, address) : ipErrors(field, address);
  if (errors.length > 0) return errors;
  if (`IPv${parseIp(address)?.version}` !== addressType) {
    errors.push(invalidValue(path, address, `must be an ${addressType} address`));
  }
  return [...errors, ...validateEndpointIp(field, address)];
}

function validateHints({ forZones = [], forNodes = [] }: NonNullable<Endpoint["hints"]>, at: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const [name, list, check] of [
    ["forZones", forZones, labelValueErrors],
    ["forNodes", forNodes, dnsSubdomainErrors],
  ] as const) {
    const path = `${at}.${name}`;
    if (list.length > 8) return [...errors, tooMany(path, list.length, 8)];
    const seen = new Set<string>();
    for (const [index, { name: value = "" }] of list.entries()) {
      const field = `${path}[${index}].name`;
      errors.push(...checkUnique(field, value, seen), ...invalidAll(field, value, check(value)));
    }
  }
  return errors;
}

/** Controllers write canonical addresses alone. */
const controllers = ["endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io"];

function addressWarnings({ metadata, addressType, endpoints }: EndpointSlice): string[] {
  const manager = metadata.labels?.["endpointslice.kubernetes.io/managed-by"] ?? "";
  if (addressType === "FQDN" || controllers.includes(manager)) return [];
  return (endpoints ?? []).flatMap(({ addresses }, index) =>
    addresses.flatMap((ip, place) => ipWarnings(`endpoints[${index}].addresses[${place}]`, ip)),
  );
}
