/** Rules for a service's addresses and IP versions, and for how they may change. */
import {
  checkOneOf,
  checkUnique,
  type FieldError,
  forbiddenValue,
  invalidValue,
  legacyIpErrors,
  notSupported,
  parseIp,
  requiredValue,
} from "../../meta/index.ts";
import { isHeadless, needsClusterIp, needsHealthCheckPort } from "./rules.ts";
import type { Service } from "./schema.ts";

const path = "spec.clusterIPs";
const policies = ["PreferDualStack", "RequireDualStack", "SingleStack"];

const isIpv6 = (ip: string): boolean => parseIp(ip)?.version === 6;

/** Rules for the addresses and families of one service. What the service had before may be written in an old way. */
export function validateClusterIps(service: Service, before?: Service): FieldError[] {
  const { clusterIP = "", clusterIPs = [], ipFamilies = [], ipFamilyPolicy } = service.spec ?? {};
  if (!needsClusterIp(service)) return [];
  const errors: FieldError[] = [];
  if (clusterIP && clusterIPs.length === 0) errors.push(requiredValue(path));
  else if (clusterIP && clusterIPs[0] !== clusterIP) {
    errors.push(invalidValue(path, clusterIPs, "first value must match `clusterIP`"));
  } else if (!clusterIP && clusterIPs.length > 0) {
    errors.push(invalidValue(path, clusterIPs, "must be empty when `clusterIP` is not specified"));
  }
  errors.push(...validateFamilies(ipFamilies));
  errors.push(...checkOneOf("spec.ipFamilyPolicy", ipFamilyPolicy, policies));
  const wrong = validateAddresses(clusterIPs, before?.spec?.clusterIPs ?? []);
  errors.push(...wrong);
  if (clusterIPs.length > 2) errors.push(invalidValue(path, clusterIPs, "may only hold up to 2 values"));
  if (wrong.length > 0) return errors;
  if (clusterIPs.length > 1 && new Set(clusterIPs.map(isIpv6)).size !== 2) {
    errors.push(invalidValue(path, clusterIPs, "may specify no more than one IP for each IP family"));
  }
  return isHeadless(service) ? errors : [...errors, ...validateAgainstFamilies(clusterIPs, ipFamilies)];
}

function validateFamilies(families: readonly string[]): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  for (const [index, family] of families.entries()) {
    const field = `spec.ipFamilies[${index}]`;
    if (family !== "IPv4" && family !== "IPv6") errors.push(notSupported(field, family, ["IPv4", "IPv6"]));
    errors.push(...checkUnique(field, family, seen));
  }
  return errors;
}

const validateAddresses = (clusterIPs: readonly string[], before: readonly string[]): FieldError[] =>
  clusterIPs.flatMap((ip, index) => {
    if (index > 0 || ip !== "None") return before.includes(ip) ? [] : legacyIpErrors(`${path}[${index}]`, ip);
    return clusterIPs.length > 1 ? [invalidValue(path, clusterIPs, "'None' must be the first and only value")] : [];
  });

const validateAgainstFamilies = (clusterIPs: readonly string[], families: readonly string[]): FieldError[] =>
  clusterIPs.flatMap((ip, index) => {
    const family = families[index];
    if (family === undefined || (family === "IPv6") === isIpv6(ip)) return [];
    return [
      invalidValue(`${path}[${index}]`, ip, `expected an ${family} value as indicated by \`ipFamilies[${index}]\``),
    ];
  });

/** Given out for good: the first address never changes, the second may come and go. */
export function validateServiceUpdate(next: Service, previous: Service): FieldError[] {
  const errors = needsClusterIp(next) && needsClusterIp(previous) ? validateStacks(next, previous) : [];
  const { type, loadBalancerClass: name } = next.spec ?? {};
  const bothBalance = type === "LoadBalancer" && previous.spec?.type === "LoadBalancer";
  if (bothBalance && name !== previous.spec?.loadBalancerClass) {
    errors.push(invalidValue("spec.loadBalancerClass", name, unchanging));
  }
  if (!needsHealthCheckPort(next) || !needsHealthCheckPort(previous)) return errors;
  if ((next.spec?.healthCheckNodePort ?? 0) === (previous.spec?.healthCheckNodePort ?? 0)) return errors;
  return [...errors, forbiddenValue("spec.healthCheckNodePort", "field is immutable")];
}

const unchanging = "may not change once set";

function validateStacks(next: Service, previous: Service): FieldError[] {
  const errors: FieldError[] = [];
  const headless = [isHeadless(previous), isHeadless(next)];
  if (!headless.every(Boolean)) {
    errors.push(
      ...validateStack(next, next.spec?.clusterIPs ?? [], previous.spec?.clusterIPs ?? [], {
        field: "clusterIPs",
        what: "clusterIP",
      }),
    );
  }
  if (headless.some(Boolean)) return errors;
  const families = { field: "ipFamilies", what: "ipFamily" };
  return [...errors, ...validateStack(next, next.spec?.ipFamilies ?? [], previous.spec?.ipFamilies ?? [], families)];
}

function validateStack(
  { spec }: Service,
  after: readonly string[],
  before: readonly string[],
  { field, what }: { field: string; what: string },
): FieldError[] {
  const first = `spec.${field}[0]`;
  const shown = after.length === 0 ? undefined : after;
  if (after.length === before.length) {
    return before.flatMap((value, index) => {
      if (value === after[index]) return [];
      return [invalidValue(field === "clusterIPs" ? `spec.clusterIPs[${index}]` : first, shown, unchanging)];
    });
  }
  const errors: FieldError[] = [];
  const isEmptied = field === "clusterIPs" ? after.length === 0 : !spec?.clusterIPs?.length;
  if (after.length < before.length && isEmptied) {
    errors.push(invalidValue(first, shown, `primary ${what} can not be unset`));
  }
  if (before.length > 0 && after.length > 0 && after[0] !== before[0]) {
    // Upstream shows the addresses here even where the versions are meant.
    errors.push(invalidValue(first, spec?.clusterIPs, unchanging));
  }
  if (after.length < before.length && after.length === 1 && spec?.ipFamilyPolicy !== "SingleStack") {
    const why = `must be set to 'SingleStack' when releasing the secondary ${what}`;
    errors.push(invalidValue("spec.ipFamilyPolicy", spec?.ipFamilyPolicy, why));
  }
  return errors;
}
