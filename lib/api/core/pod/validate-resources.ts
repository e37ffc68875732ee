/** Rules for the resources of containers and pods. */
import {
  compareQuantities,
  dnsLabelErrors,
  dnsSubdomainErrors,
  duplicateValue,
  type FieldError,
  forbiddenValue,
  invalidAll,
  invalidValue,
  labelKeyErrors,
  notSupported,
  parseQuantity,
  quantityMilliValue,
  quantityValue,
  requiredValue,
} from "../../meta/index.ts";
import {
  isExtendedResource,
  isHugePages,
  isNativeResource,
  isStandardContainerResource,
  isStandardResource,
  mayOvercommit,
  validateResourceQuantity,
} from "../resource-names.ts";
import type { PodResourceClaim, ResourceRequirements } from "./resources.ts";
import type { PodSpec } from "./spec.ts";
import { totalOf } from "./totals.ts";

type NameCheck = (name: string, field: string) => FieldError[];

function validateName(name: string, field: string): FieldError[] {
  const errors = invalidAll(field, name, labelKeyErrors(name));
  if (errors.length > 0 || name.includes("/") || isStandardResource(name)) return errors;
  return [invalidValue(field, name, "must be a standard resource type or fully qualified")];
}

function validateContainerName(name: string, field: string): FieldError[] {
  const errors = validateName(name, field);
  const parts = name.split("/").length;
  if (parts === 1 && !isStandardContainerResource(name)) {
    errors.push(invalidValue(field, name, "must be a standard resource for containers"));
  } else if (parts > 1 && !isNativeResource(name) && !isExtendedResource(name)) {
    errors.push(invalidValue(field, name, "doesn't follow extended resource name standard"));
  }
  return errors;
}

/** The resources that a pod can have at pod level. */
export const isPodResource = (name: string): boolean => name === "cpu" || name === "memory" || isHugePages(name);

function validatePodName(name: string, field: string): FieldError[] {
  const errors = validateName(name, field);
  if (errors.length > 0 || isPodResource(name)) return errors;
  return [notSupported(field, name, ["cpu", "hugepages-", "memory"])];
}

function validateHugePages(name: string, value: string, field: string): FieldError[] {
  if (!isHugePages(name)) return [];
  let size = "0";
  try {
    size = name.slice("hugepages-".length);
    parseQuantity(size);
  } catch {
    size = "0";
  }
  const whole = compareQuantities(size, "0") > 0 && quantityMilliValue(size) % 1000n === 0n;
  if (whole && quantityValue(value) % quantityValue(size) === 0n) return [];
  return [invalidValue(field, value, `${value} is not positive integer multiple of ${name}`)];
}

const sorted = (amounts: Readonly<Record<string, string>> | undefined): [string, string][] =>
  Object.entries(amounts ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));

/** The resources of a container; `claims` are the names of the pod's resource claims. */
export function validateContainerResources(
  resources: ResourceRequirements | undefined,
  claims: ReadonlySet<string>,
  path: string,
): FieldError[] {
  return validateResources(resources ?? {}, claims, path, validateContainerName);
}

function validateResources(
  { limits = {}, requests = {}, claims: used = [] }: ResourceRequirements,
  claims: ReadonlySet<string>,
  path: string,
  checkName: NameCheck,
): FieldError[] {
  const errors: FieldError[] = [];
  for (const [name, value] of sorted(limits)) {
    const field = `${path}.limits[${name}]`;
    errors.push(...checkName(name, field), ...validateResourceQuantity(name, value, field));
    errors.push(...validateHugePages(name, value, field));
  }
  for (const [name, value] of sorted(requests)) {
    const field = `${path}.requests[${name}]`;
    errors.push(...checkName(name, field), ...validateResourceQuantity(name, value, field));
    errors.push(...validateAgainstLimit(name, value, limits[name], path));
    errors.push(...validateHugePages(name, value, field));
  }
  const names = [...Object.keys(limits), ...Object.keys(requests)];
  if (names.some(isHugePages) && !names.some((name) => name === "cpu" || name === "memory")) {
    errors.push(forbiddenValue(path, "HugePages require cpu or memory"));
  }
  return [...errors, ...validateUsedClaims(used, claims, `${path}.claims`)];
}

function validateAgainstLimit(name: string, value: string, limit: string | undefined, path: string): FieldError[] {
  const field = `${path}.requests`;
  if (limit === undefined) {
    if (mayOvercommit(name)) return [];
    return [requiredValue(`${path}.limits`, "Limit must be set for non overcommitable resources")];
  }
  const order = compareQuantities(value, limit);
  if (order !== 0 && !mayOvercommit(name)) {
    return [invalidValue(field, value, `must be equal to ${name} limit of ${limit}`)];
  }
  return order > 0 ? [invalidValue(field, value, `must be less than or equal to ${name} limit of ${limit}`)] : [];
}

type UsedClaims = NonNullable<ResourceRequirements["claims"]>;

function validateUsedClaims(used: UsedClaims, claims: ReadonlySet<string>, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  for (const [index, { name = "", request }] of used.entries()) {
    const field = `${path}[${index}]`;
    if (!name) {
      errors.push(requiredValue(field));
      continue;
    }
    const key = request ? `${name}/${request}` : name;
    if (request && !seen.has(name)) errors.push(...invalidAll(`${field}.request`, request, dnsLabelErrors(request)));
    if (seen.has(name)) errors.push(duplicateValue(field, name));
    else if (seen.has(key)) errors.push(duplicateValue(field, key));
    else if (!request && [...seen].some((other) => other.startsWith(`${name}/`))) {
      errors.push(duplicateValue(field, name));
    }
    seen.add(key);
    if (claims.has(name)) continue;
    const known = claims.size === 0 ? " which is empty" : `: ${[...claims].sort().join(", ")}`;
    const why = `must be one of the names in pod.spec.resourceClaims${known}`;
    errors.push({ reason: "FieldValueNotFound", field, message: `Not found: "${name}": ${why}` });
  }
  return errors;
}

/** The pod's resource claims. A mirror pod can have none. */
export function validatePodClaims(claims: readonly PodResourceClaim[], isMirror: boolean, path: string): FieldError[] {
  if (isMirror && claims.length > 0) {
    return claims.map(() => forbiddenValue("[]", "static pods do not support resource claims"));
  }
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  for (const [index, claim] of claims.entries()) {
    const at = `${path}[${index}]`;
    const { name = "", resourceClaimName, resourceClaimTemplateName } = claim;
    if (!name) errors.push(requiredValue(`${at}.name`));
    else if (seen.has(name)) errors.push(duplicateValue(`${at}.name`, name));
    else errors.push(...invalidAll(`${at}.name`, name, dnsLabelErrors(name)));
    seen.add(name);
    if (resourceClaimName !== undefined && resourceClaimTemplateName !== undefined) {
      const why = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified";
      errors.push(invalidValue(at, claim, why));
    }
    if (resourceClaimName === undefined && resourceClaimTemplateName === undefined) {
      errors.push(invalidValue(at, claim, "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"));
    }
    for (const [field, value] of Object.entries({ resourceClaimName, resourceClaimTemplateName })) {
      if (value !== undefined) errors.push(...invalidAll(`${at}.${field}`, value, dnsSubdomainErrors(value)));
    }
  }
  return errors;
}

/** Pod-level resources, and whether those of the containers fit into them. */
export function validatePodResources(spec: PodSpec, claims: ReadonlySet<string>, path: string): FieldError[] {
  const { resources, os } = spec;
  if (!resources) return [];
  const at = `${path}.resources`;
  if (os?.name === "windows") return [forbiddenValue(at, "may not be set for a windows pod")];
  const errors: FieldError[] = [];
  if (resources.claims) {
    errors.push(forbiddenValue(`${at}.claims`, "claims may not be set for Resources at pod-level"));
  }
  errors.push(...validateResources(resources, claims, at, validatePodName));
  for (const [name, total] of sorted(totalOf(spec, "requests"))) {
    const own = resources.requests?.[name];
    if (own === undefined || compareQuantities(total, own) <= 0) continue;
    const why = `must be greater than or equal to aggregate container requests of ${total}`;
    errors.push(invalidValue(`${at}.requests[${name}]`, own, why));
  }
  for (const [name, total] of sorted(totalOf(spec, "limits"))) {
    const own = resources.limits?.[name];
    if (!isHugePages(name) || own === undefined || compareQuantities(total, own) <= 0) continue;
    const why = `must be greater than or equal to aggregate container limits of ${total}`;
    errors.push(invalidValue(`${at}.limits[${name}]`, own, why));
  }
  for (const [index, container] of (spec.containers ?? []).entries()) {
    for (const [name, limit] of sorted(container.resources?.limits)) {
      const own = resources.limits?.[name];
      if (own === undefined || compareQuantities(limit, own) <= 0) continue;
      const why = `must be less than or equal to pod limits of ${own}`;
      errors.push(invalidValue(`${at}.containers[${index}][${name}].limits`, limit, why));
    }
  }
  return errors;
}
