import type * as z from "zod";
import {
  ageColumn,
  Condition,
  cidrErrors,
  defineKind,
  type FieldError,
  invalidValue,
  list,
  message,
  metadataField,
  nameColumn,
  optional,
  parseCidr,
  requiredValue,
  string,
} from "../meta/index.ts";

export const ServiceCIDRSpec = message("io.k8s.api.networking.v1.ServiceCIDRSpec", () => ({
  cidrs: optional(1, list(string), "The blocks that services get addresses from, at most one for each IP version.", {
    list: "atomic",
  }),
}));
export type ServiceCIDRSpec = z.infer<typeof ServiceCIDRSpec>;

export const ServiceCIDRStatus = message("io.k8s.api.networking.v1.ServiceCIDRStatus", () => ({
  conditions: optional(1, list(Condition), "Conditions of the blocks.", {
    list: "map",
    keys: ["type"],
    mergeKey: "type",
  }),
}));
export type ServiceCIDRStatus = z.infer<typeof ServiceCIDRStatus>;

export const ServiceCIDR = message("io.k8s.api.networking.v1.ServiceCIDR", () => ({
  metadata: metadataField(),
  spec: optional(2, ServiceCIDRSpec, "Desired state of the blocks.", { printed: true }),
  status: optional(3, ServiceCIDRStatus, "Observed state of the blocks.", { printed: true }),
}));
export type ServiceCIDR = z.infer<typeof ServiceCIDR>;

/** Blocks that services get their addresses from. */
export const serviceCidrs = defineKind<ServiceCIDR>({
  group: "networking.k8s.io",
  version: "v1",
  kind: "ServiceCIDR",
  plural: "servicecidrs",
  singular: "servicecidr",
  scope: "Cluster",
  schema: ServiceCIDR,
  validate: ({ spec }) => validateCidrs(spec?.cidrs ?? []),
  validateUpdate: (next, previous) => validateChange(next.spec?.cidrs ?? [], previous.spec?.cidrs ?? []),
  subresources: { status: { type: "status" } },
  columns: [
    nameColumn,
    { name: "CIDRs", type: "string", doc: "The blocks.", value: ({ spec }) => (spec?.cidrs ?? []).join(",") },
    ageColumn,
  ],
});

const path = "spec.cidrs";

function validateCidrs(cidrs: readonly string[]): FieldError[] {
  if (cidrs.length === 0) return [requiredValue(path, "at least one CIDR required")];
  if (cidrs.length > 2) return [invalidValue(path, { CIDRs: cidrs }, "may only hold up to 2 values")];
  const errors = cidrs.flatMap((cidr, index) => cidrErrors(`${path}[${index}]`, cidr));
  const [first, second] = cidrs.map((cidr) => parseCidr(cidr)?.version);
  if (cidrs.length < 2 || first === undefined || first !== second) return errors;
  const why = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64";
  return [...errors, invalidValue(path, cidrs, why)];
}

/** A second block may be added; nothing else changes. */
function validateChange(after: readonly string[], before: readonly string[]): FieldError[] {
  const immutable = "field is immutable";
  if (after.length !== before.length && !(before.length === 1 && after.length === 2)) {
    return [invalidValue(path, after, immutable)];
  }
  return before.flatMap((cidr, index) =>
    cidr === after[index] ? [] : [invalidValue(`${path}[${index}]`, after[index], immutable)],
  );
}
