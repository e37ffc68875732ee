import type * as z from "zod";
import { resourceName } from "#base";
import {
  ageColumn,
  defineKind,
  dnsSubdomainErrors,
  type FieldError,
  invalidAll,
  message,
  metadataField,
  nameColumn,
  optional,
  pathSegmentErrors,
  required,
  requiredValue,
  string,
  validateImmutable,
} from "../meta/index.ts";

export const ParentReference = message("io.k8s.api.networking.v1.ParentReference", () => ({
  group: optional(1, string, "Group of the owner."),
  resource: required(2, string, "Resource of the owner."),
  namespace: optional(3, string, "Namespace of the owner."),
  name: required(4, string, "Name of the owner."),
}));
export type ParentReference = z.infer<typeof ParentReference>;

export const IPAddressSpec = message("io.k8s.api.networking.v1.IPAddressSpec", () => ({
  parentRef: required(1, ParentReference, "The object that uses the address.", { isPointer: true }),
}));
export type IPAddressSpec = z.infer<typeof IPAddressSpec>;

export const IPAddress = message("io.k8s.api.networking.v1.IPAddress", () => ({
  metadata: metadataField(),
  spec: required(2, IPAddressSpec, "Desired state of the address."),
}));
export type IPAddress = z.infer<typeof IPAddress>;

/** An address that is taken; its name is the address, so that it can be taken once only. */
export const ipAddresses = defineKind<IPAddress>({
  group: "networking.k8s.io",
  version: "v1",
  kind: "IPAddress",
  plural: "ipaddresses",
  singular: "ipaddress",
  shortNames: ["ip"],
  scope: "Cluster",
  name: "ip",
  schema: IPAddress,
  validate: ({ spec }) => validateParent(spec?.parentRef),
  validateUpdate: (next, previous) =>
    validateImmutable(next.spec?.parentRef, previous.spec?.parentRef, "spec.parentRef"),
  columns: [
    nameColumn,
    { name: "ParentRef", type: "string", doc: "The object that uses the address.", value: parentText },
    ageColumn,
  ],
});

function parentText({ spec }: IPAddress): string {
  const parent = spec?.parentRef;
  if (!parent) return "<none>";
  const { group = "", resource = "", namespace, name } = parent;
  return [resourceName({ group, resource }).toLowerCase(), ...(namespace ? [namespace] : []), name].join("/");
}

function validateParent(parent: ParentReference | undefined): FieldError[] {
  const path = "spec.parentRef";
  if (!parent) return [requiredValue(path)];
  const { group, resource, name, namespace } = parent;
  const errors = group ? invalidAll(`${path}.group`, group, dnsSubdomainErrors(group)) : [];
  for (const [field, value] of Object.entries({ resource, name })) {
    if (!value) errors.push(requiredValue(`${path}.${field}`));
    else errors.push(...invalidAll(`${path}.${field}`, value, pathSegmentErrors(value)));
  }
  return namespace ? [...errors, ...invalidAll(`${path}.namespace`, namespace, pathSegmentErrors(namespace))] : errors;
}
