/** Rules for environment variables and for what they are taken from. */
import {
  checkOneOf,
  configMapKeyErrors,
  dnsLabelErrors,
  dnsSubdomainErrors,
  envVarNameErrors,
  type FieldError,
  invalidAll,
  invalidValue,
  labelKeyErrors,
  nameErrors,
  notSupported,
  parseQuantity,
  requiredValue,
  requireText,
} from "../../meta/index.ts";
import type { EnvFromSource, EnvVar, ObjectFieldSelector, ResourceFieldSelector } from "./env.ts";
import { checkNoBacksteps } from "./paths.ts";

const environmentFields = [
  "metadata.name",
  "metadata.namespace",
  "metadata.uid",
  "spec.nodeName",
  "spec.serviceAccountName",
  "status.hostIP",
  "status.hostIPs",
  "status.podIP",
  "status.podIPs",
];

/** The fields that a volume can show. */
export const volumeFields = [
  "metadata.annotations",
  "metadata.labels",
  "metadata.name",
  "metadata.namespace",
  "metadata.uid",
];

export const validateEnv = (variables: readonly EnvVar[], path: string): FieldError[] =>
  variables.flatMap((variable, index) => {
    const at = `${path}[${index}]`;
    const { name, value } = variable;
    const errors = name ? invalidAll(`${at}.name`, name, envVarNameErrors(name)) : [requiredValue(`${at}.name`)];
    return variable.valueFrom ? [...errors, ...validateSource(variable.valueFrom, value, `${at}.valueFrom`)] : errors;
  });

function validateSource(
  source: NonNullable<EnvVar["valueFrom"]>,
  value: string | undefined,
  path: string,
): FieldError[] {
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef, fileKeyRef } = source;
  const errors: FieldError[] = [];
  if (fieldRef) errors.push(...validateFieldRef(fieldRef, environmentFields, `${path}.fieldRef`));
  if (resourceFieldRef) errors.push(...validateResourceRef(resourceFieldRef, `${path}.resourceFieldRef`, false));
  if (configMapKeyRef) errors.push(...validateKeyRef(configMapKeyRef, `${path}.configMapKeyRef`));
  if (secretKeyRef) errors.push(...validateKeyRef(secretKeyRef, `${path}.secretKeyRef`));
  if (fileKeyRef) errors.push(...validateFileRef(fileKeyRef, `${path}.fileKeyRef`));
  const count = [fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef, fileKeyRef].filter(Boolean).length;
  if (count === 0) {
    const kinds = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`";
    errors.push(invalidValue(path, "", `must specify one of: ${kinds}`));
  } else if (value) errors.push(invalidValue(path, "", "may not be specified when `value` is not empty"));
  else if (count > 1) errors.push(invalidValue(path, "", "may not have more than one field specified at a time"));
  return errors;
}

const subscripted = /^(.+)\['(.*)'\]$/;
const otherFields = ["spec.restartPolicy", "spec.schedulerName", "status.phase"];

/** A reference to a field of the pod. */
export function validateFieldRef(
  { apiVersion = "", fieldPath = "" }: ObjectFieldSelector,
  supported: readonly string[],
  path: string,
): FieldError[] {
  if (!apiVersion) return [requiredValue(`${path}.apiVersion`)];
  if (!fieldPath) return [requiredValue(`${path}.fieldPath`)];
  const cannot = (why: string): FieldError[] => [
    invalidValue(`${path}.fieldPath`, fieldPath, `error converting fieldPath: ${why}`),
  ];
  if (apiVersion !== "v1") return cannot(`unsupported pod version: ${apiVersion}`);
  const [, owner, key] = subscripted.exec(fieldPath) ?? [];
  if (owner === "metadata.annotations") return invalidAll(path, key!.toLowerCase(), labelKeyErrors(key!.toLowerCase()));
  if (owner === "metadata.labels") return invalidAll(path, key, labelKeyErrors(key!));
  if (owner !== undefined) return cannot(`field label does not support subscript: ${fieldPath}`);
  const field = fieldPath === "spec.host" ? "spec.nodeName" : fieldPath;
  if (![...environmentFields, ...volumeFields, ...otherFields].includes(field)) {
    return cannot(`field label not supported: ${fieldPath}`);
  }
  return checkOneOf(`${path}.fieldPath`, field, supported);
}

const resources = [
  "limits.cpu",
  "limits.ephemeral-storage",
  "limits.memory",
  "requests.cpu",
  "requests.ephemeral-storage",
  "requests.memory",
];
const isHugePages = (resource: string): boolean => /^(?:requests|limits)\.hugepages-/.test(resource);
const byteDivisors = ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];

/** A reference to a container's resource; a volume must also name the container. */
export function validateResourceRef(
  { containerName, resource = "", divisor = "0" }: ResourceFieldSelector,
  path: string,
  inVolume: boolean,
): FieldError[] {
  const errors: FieldError[] = [];
  if (inVolume && !containerName) errors.push(requiredValue(`${path}.containerName`));
  else if (!resource) errors.push(requiredValue(`${path}.resource`));
  else if (!resources.includes(resource) && !isHugePages(resource)) {
    errors.push(notSupported(`${path}.resource`, resource, resources));
  }
  if (parseQuantity(divisor).mantissa === 0n) return errors;
  const [what, supported] = divisorsOf(resource);
  if (supported.length === 0 || supported.includes(divisor)) return errors;
  const values = supported === byteDivisors ? byteDivisors.join(", ") : "1m and 1";
  const why = `only divisor's values ${values} are supported with the ${what} resource`;
  return [...errors, invalidValue(`${path}.divisor`, resource, why)];
}

function divisorsOf(resource: string): [string, readonly string[]] {
  if (resource.endsWith(".cpu")) return ["cpu", ["1m", "1"]];
  if (resource.endsWith(".memory")) return ["memory", byteDivisors];
  if (resource.endsWith(".ephemeral-storage")) return ["local ephemeral storage", byteDivisors];
  return isHugePages(resource) ? ["hugepages", byteDivisors] : ["", []];
}

const validateKeyRef = ({ name = "", key = "" }: { name?: string | undefined; key: string }, path: string) => [
  ...invalidAll(`${path}.name`, name, dnsSubdomainErrors(name)),
  ...(key ? invalidAll(`${path}.key`, key, configMapKeyErrors(key)) : [requiredValue(`${path}.key`)]),
];

function validateFileRef(
  { key = "", volumeName = "", path: file = "" }: { key: string; volumeName: string; path: string },
  path: string,
): FieldError[] {
  return [
    ...(key ? invalidAll(`${path}.key`, key, envVarNameErrors(key)) : [requiredValue(`${path}.key`)]),
    ...requireText(`${path}.volumeName`, volumeName),
    ...(volumeName ? invalidAll(`${path}.volumeName`, volumeName, dnsLabelErrors(volumeName)) : []),
    ...requireText(`${path}.path`, file),
    ...checkNoBacksteps(`${path}.path`, file),
  ];
}

export const validateEnvFrom = (sources: readonly EnvFromSource[], path: string): FieldError[] =>
  sources.flatMap(({ prefix, configMapRef, secretRef }, index) => {
    const at = `${path}[${index}]`;
    const errors = prefix ? invalidAll(`${at}.prefix`, prefix, envVarNameErrors(prefix)) : [];
    if (configMapRef) errors.push(...validateEnvRef(configMapRef.name, `${at}.configMapRef.name`));
    if (secretRef) errors.push(...validateEnvRef(secretRef.name, `${at}.secretRef.name`));
    if (!configMapRef && !secretRef) {
      errors.push(invalidValue(path, "", "must specify one of: `configMapRef` or `secretRef`"));
    }
    if (configMapRef && secretRef) {
      errors.push(invalidValue(path, "", "may not have more than one field specified at a time"));
    }
    return errors;
  });

// Upstream judges this name as a prefix, and so lets it end in a dash.
const validateEnvRef = (name: string | undefined, field: string): FieldError[] =>
  name ? invalidAll(field, name, nameErrors("dns-subdomain", name, true)) : [requiredValue(field)];
