/** Names of resources such as cpu, and the rules of their quantities. */
import { type FieldError, invalidValue, labelKeyErrors, parseQuantity, quantityMilliValue } from "../meta/index.ts";

const hugePages = "hugepages-";
const quotaHugePages = "requests.hugepages-";
const ownNamespace = "kubernetes.io/";
const integerNames = new Set([
  "pods",
  "resourcequotas",
  "services",
  "replicationcontrollers",
  "secrets",
  "configmaps",
  "persistentvolumeclaims",
  "services.nodeports",
  "services.loadbalancers",
]);
const containerNames = new Set(["cpu", "memory", "ephemeral-storage"]);
const standardNames = new Set([
  ...containerNames,
  "requests.cpu",
  "requests.memory",
  "requests.ephemeral-storage",
  "limits.cpu",
  "limits.memory",
  "limits.ephemeral-storage",
  ...integerNames,
  "storage",
  "requests.storage",
]);

export const isHugePages = (name: string): boolean => name.startsWith(hugePages);
/** Kubernetes' own resources: without a domain, or under kubernetes.io. */
export const isNativeResource = (name: string): boolean => !name.includes("/") || name.includes(ownNamespace);
/** An extended resource, such as `example.com/gpu`. */
export const isExtendedResource = (name: string): boolean =>
  !isNativeResource(name) && !name.startsWith("requests.") && labelKeyErrors(`requests.${name}`).length === 0;
export const isIntegerResource = (name: string): boolean => integerNames.has(name) || isExtendedResource(name);
/** Whether requests may be below limits. */
export const mayOvercommit = (name: string): boolean => isNativeResource(name) && !isHugePages(name);
export const isStandardContainerResource = (name: string): boolean => containerNames.has(name) || isHugePages(name);
export const isStandardResource = (name: string): boolean =>
  standardNames.has(name) || isHugePages(name) || name.startsWith(quotaHugePages);

/** Not below zero, and whole where the resource is counted. */
export function validateResourceQuantity(name: string, value: string, field: string): FieldError[] {
  const errors: FieldError[] = [];
  if (parseQuantity(value).mantissa < 0n) {
    errors.push(invalidValue(field, value, "must be greater than or equal to 0"));
  }
  if (isIntegerResource(name) && quantityMilliValue(value) % 1000n !== 0n) {
    errors.push(invalidValue(field, value, "must be an integer"));
  }
  return errors;
}
