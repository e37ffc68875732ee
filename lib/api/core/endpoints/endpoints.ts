import {
  ageColumn,
  checkOneOf,
  defineKind,
  dnsLabelErrors,
  dnsSubdomainErrors,
  type FieldError,
  invalidAll,
  ipWarnings,
  labelKeyErrors,
  legacyIpErrors,
  nameColumn,
  portErrors,
  requiredValue,
} from "../../meta/index.ts";
import { validateEndpointIp } from "../addresses.ts";
import { type EndpointAddress, type EndpointPort, type EndpointSubset, Endpoints } from "./schema.ts";

export const endpoints = defineKind<Endpoints>({
  group: "",
  version: "v1",
  kind: "Endpoints",
  plural: "endpoints",
  singular: "endpoints",
  shortNames: ["ep"],
  scope: "Namespaced",
  schema: Endpoints,
  createOnUpdate: true,
  validate: ({ subsets = [] }) => subsets.flatMap((subset, index) => validateSubset(subset, `subsets[${index}]`)),
  deprecation: "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
  warnings: ({ metadata, subsets = [] }) =>
    // The controller writes canonical addresses alone.
    metadata.labels?.["endpoints.kubernetes.io/managed-by"] === "endpoint-controller"
      ? []
      : subsets.flatMap((subset, index) =>
          (["addresses", "notReadyAddresses"] as const).flatMap((part) =>
            (subset[part] ?? []).flatMap(({ ip }, place) => ipWarnings(`subsets[${index}].${part}[${place}].ip`, ip)),
          ),
        ),
  columns: [
    nameColumn,
    { name: "Endpoints", type: "string", doc: "Addresses with ports.", value: endpointsText },
    ageColumn,
  ],
});

function validateSubset(
  { addresses = [], notReadyAddresses = [], ports = [] }: EndpointSubset,
  at: string,
): FieldError[] {
  const errors: FieldError[] = [];
  if (addresses.length === 0 && notReadyAddresses.length === 0) {
    errors.push(requiredValue(at, "must specify `addresses` or `notReadyAddresses`"));
  }
  for (const [name, list] of Object.entries({ addresses, notReadyAddresses })) {
    for (const [index, address] of list.entries()) errors.push(...validateAddress(address, `${at}.${name}[${index}]`));
  }
  for (const [index, port] of ports.entries()) {
    errors.push(...validatePort(port, ports.length > 1, `${at}.ports[${index}]`));
  }
  return errors;
}

function validateAddress({ ip = "", hostname, nodeName }: EndpointAddress, at: string): FieldError[] {
  return [
    ...legacyIpErrors(`${at}.ip`, ip),
    ...(hostname ? invalidAll(`${at}.hostname`, hostname, dnsLabelErrors(hostname)) : []),
    ...(nodeName === undefined ? [] : invalidAll(`${at}.nodeName`, nodeName, dnsSubdomainErrors(nodeName))),
    ...validateEndpointIp(`${at}.ip`, ip),
  ];
}

function validatePort(
  { name, port = 0, protocol, appProtocol }: EndpointPort,
  needsName: boolean,
  at: string,
): FieldError[] {
  const errors = name ? invalidAll(`${at}.name`, name, dnsLabelErrors(name)) : [];
  if (!name && needsName) errors.push(requiredValue(`${at}.name`));
  errors.push(...invalidAll(`${at}.port`, port, portErrors(port)));
  errors.push(...checkOneOf(`${at}.protocol`, protocol, ["SCTP", "TCP", "UDP"]));
  if (appProtocol === undefined) return errors;
  return [...errors, ...invalidAll(`${at}.appProtocol`, appProtocol, labelKeyErrors(appProtocol))];
}

/** How many endpoints the column shows before it counts the rest. */
const shown = 3;

function endpointsText({ subsets = [] }: Endpoints): string {
  if (subsets.length === 0) return "<none>";
  const all = subsets.flatMap(({ addresses = [], ports = [] }) => {
    if (ports.length === 0) return addresses.map(({ ip }) => ip);
    return ports.flatMap(({ port }) => addresses.map(({ ip }) => `${ip.includes(":") ? `[${ip}]` : ip}:${port}`));
  });
  const text = all.slice(0, shown).join(",");
  return all.length > shown ? `${text} + ${all.length - shown} more...` : text;
}
