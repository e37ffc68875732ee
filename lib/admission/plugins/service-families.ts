/** The IP families of a service, on a cluster whose services have IPv4 addresses. */
import {
  type FieldError,
  invalidValue,
  isHeadless,
  parseIp,
  type Service,
  type ServiceSpec,
  validateClusterIps,
} from "#api";
import { deepEqual } from "#base";

type Family = NonNullable<ServiceSpec["ipFamilies"]>[number];

const policyPath = "spec.ipFamilyPolicy";
const other = (family: Family): Family => (family === "IPv4" ? "IPv6" : "IPv4");
const hasNoSelector = ({ selector }: ServiceSpec): boolean => Object.keys(selector ?? {}).length === 0;

/**
 * Sets ipFamilies and ipFamilyPolicy of a service that is no ExternalName, or returns why they are invalid (upstream's
 * initIPFamilyFields). `before` is the service that is updated. A service that prefers both families keeps those that
 * it has until a client changes them. A headless service without a selector has endpoints that a client sets: it may
 * have both families on any cluster.
 */
export function setFamilies(service: Service, before: Service | undefined): FieldError[] {
  const spec = service.spec!;
  if (isUnchanged(spec, before?.spec)) return [];
  const isFree = isHeadless(service) && hasNoSelector(spec);
  spec.ipFamilyPolicy ??= before?.spec?.ipFamilyPolicy ?? (isFree ? "RequireDualStack" : "SingleStack");
  // Text that is no address is refused as such, before it is compared with a range.
  const wrong = validateClusterIps(service, before);
  if (wrong.length > 0) return wrong;
  const errors = [
    ...(before?.spec ? reduce(spec, before.spec) : []),
    ...refusePairs(spec),
    ...(isHeadless(service) ? [] : inferFamilies(spec)),
  ];
  if (errors.length > 0) return errors;
  if (!isFree) {
    const unknown = refuseForeign(spec);
    if (unknown.length > 0) return unknown;
  }
  if (!spec.ipFamilies?.length) spec.ipFamilies = ["IPv4"];
  if (isFree && spec.ipFamilyPolicy !== "SingleStack" && spec.ipFamilies.length === 1) {
    spec.ipFamilies = [...spec.ipFamilies, other(spec.ipFamilies[0]!)];
  }
  return [];
}

/** Whether an update leaves a service that prefers both families as it is (isMatchingPreferDualStackClusterIPFields). */
const isUnchanged = (spec: ServiceSpec, before: ServiceSpec | undefined): boolean =>
  before !== undefined &&
  before.type === spec.type &&
  spec.ipFamilyPolicy === "PreferDualStack" &&
  (before.ipFamilyPolicy ?? "PreferDualStack") === "PreferDualStack" &&
  isSame(spec.clusterIPs, before.clusterIPs) &&
  isSame(spec.ipFamilies, before.ipFamilies);

const isSame = (one: readonly string[] = [], another: readonly string[] = []): boolean => deepEqual(one, another);

/** A single-family policy removes the second family; fewer families without it are refused. */
function reduce(spec: ServiceSpec, before: ServiceSpec): FieldError[] {
  const [after, had] = [spec.ipFamilies ?? [], before.ipFamilies ?? []];
  if (spec.ipFamilyPolicy === "SingleStack") {
    if (isSame(after, had) && after.length > 1) spec.ipFamilies = after.slice(0, 1);
    return [];
  }
  if (after.length === 0 || after.length >= had.length) return [];
  const why = "must be 'SingleStack' to release the secondary IP family";
  return [invalidValue(policyPath, spec.ipFamilyPolicy, why)];
}

function refusePairs({ ipFamilyPolicy, clusterIPs = [], ipFamilies = [] }: ServiceSpec): FieldError[] {
  if (ipFamilyPolicy !== "SingleStack") return [];
  const pairs = [
    { what: "cluster IPs", values: clusterIPs },
    { what: "IP families", values: ipFamilies },
  ];
  return pairs.flatMap(({ what, values }) => {
    if (values.length !== 2) return [];
    const why = `must be 'RequireDualStack' or 'PreferDualStack' when multiple ${what} are specified`;
    return [invalidValue(policyPath, ipFamilyPolicy, why)];
  });
}

/** Adds the families of addresses that have none. */
function inferFamilies(spec: ServiceSpec): FieldError[] {
  const families = [...(spec.ipFamilies ?? [])];
  const errors: FieldError[] = [];
  for (const [index, ip] of (spec.clusterIPs ?? []).entries()) {
    if (index < families.length) continue;
    if (parseIp(ip)?.version === 4) families.push("IPv4");
    else
      errors.push(invalidValue(`spec.clusterIPs[${index}]`, spec.clusterIPs, "IPv6 is not configured on this cluster"));
  }
  if (families.length > 0) spec.ipFamilies = families;
  return errors;
}

function refuseForeign({ ipFamilyPolicy, ipFamilies = [] }: ServiceSpec): FieldError[] {
  const errors = ipFamilies.flatMap((family, index) =>
    family === "IPv4" ? [] : [invalidValue(`spec.ipFamilies[${index}]`, family, "not configured on this cluster")],
  );
  if (ipFamilyPolicy !== "RequireDualStack") return errors;
  return [
    invalidValue(policyPath, ipFamilyPolicy, "this cluster is not configured for dual-stack services"),
    ...errors,
  ];
}
