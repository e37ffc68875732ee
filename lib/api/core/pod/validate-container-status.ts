/** Rules for the status of containers, their users and their devices. */
import {
  dnsLabelErrors,
  dnsSubdomainErrors,
  duplicateValue,
  type FieldError,
  forbiddenValue,
  invalidAll,
  invalidValue,
  notSupported,
  requiredValue,
  tooLong,
  unixIdErrors,
} from "../../meta/index.ts";
import type { Container } from "./container.ts";
import type { ContainerStatus, ResourceStatus } from "./container-status.ts";
import type { PodSpec } from "./spec.ts";
import type { PodExtendedResourceClaimStatus, PodStatus } from "./status.ts";

const parts = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"] as const;

/** All statuses of containers in a pod's status. */
export function validateContainerStatuses(status: PodStatus, spec: PodSpec): FieldError[] {
  const errors = validateExtendedClaim(status.extendedResourceClaimStatus, spec);
  for (const part of parts) {
    for (const [index, one] of (status[part] ?? []).entries()) {
      errors.push(...validateUser(one, `status.${part}[${index}]`, spec.os?.name ?? "linux"));
    }
  }
  for (const part of parts) {
    for (const [index, one] of (status[part] ?? []).entries()) {
      errors.push(...validateDevices(one, `status.${part}[${index}].allocatedResourcesStatus`, part, status, spec));
    }
  }
  return errors;
}

/** The range of Linux users in a status: runtimes report users that no spec may request. */
const highestUser = 2 ** 32 - 1;

function validateUser({ user }: ContainerStatus, at: string, os: string): FieldError[] {
  const linux = user?.linux;
  if (!linux) return [];
  const path = `${at}.user.linux`;
  if (os === "windows") return [forbiddenValue(path, "cannot be set for a windows pod")];
  if (os !== "linux") return [];
  const { uid, gid, supplementalGroups = [] } = linux;
  const errors: FieldError[] = [];
  if (uid < 0 || uid > highestUser) {
    errors.push(invalidValue(`${path}.uid`, uid, `must be between 0 and ${highestUser}, inclusive`));
  }
  errors.push(...invalidAll(`${path}.gid`, gid, unixIdErrors(gid)));
  for (const [index, group] of supplementalGroups.entries()) {
    errors.push(...invalidAll(`${path}.supplementalGroups[${index}]`, group, unixIdErrors(group)));
  }
  return errors;
}

const noDevices = "must not be specified in container status";

function validateDevices(
  status: ContainerStatus,
  path: string,
  part: (typeof parts)[number],
  pod: PodStatus,
  spec: PodSpec,
): FieldError[] {
  const all = status.allocatedResourcesStatus ?? [];
  if (part === "ephemeralContainerStatuses") return all.length > 0 ? [forbiddenValue(path, noDevices)] : [];
  const containers = part === "containerStatuses" ? spec.containers : spec.initContainers;
  const container = containers?.find(({ name }) => name === status.name);
  return all.flatMap((resource, index) => [
    ...(container ? validateResourceName(resource.name, `${path}[${index}].name`, container, pod) : []),
    ...validateHealth(resource, `${path}[${index}].resources`),
  ]);
}

const prefix = "claim:";
const noClaim =
  "must match one of the container's resource claims as 'claim:<claimName>/<requestName>' when container.resources.claims[*].request is set or 'claim:<claimName>' when it is empty";

function validateResourceName(name: string, field: string, container: Container, status: PodStatus): FieldError[] {
  const { claims = [], requests = {} } = container.resources ?? {};
  if (!name.startsWith(prefix)) {
    const why = "must match one of the container's resource requests";
    return Object.hasOwn(requests, name) ? [] : [invalidValue(field, name, why)];
  }
  const own = claims.some(({ name: claim, request }) => name === `${prefix}${claim}${request ? `/${request}` : ""}`);
  if (own || standsForExtended(name, container, status.extendedResourceClaimStatus)) return [];
  return [invalidValue(field, name, noClaim)];
}

/** Whether the scheduler created a claim for extended resources of the container. */
function standsForExtended(
  name: string,
  { name: containerName, resources }: Container,
  claim: PodExtendedResourceClaimStatus | undefined,
): boolean {
  if (!claim || !name.startsWith(`${prefix}${claim.resourceClaimName}/`)) return false;
  const request = name.slice(prefix.length + claim.resourceClaimName.length + 1);
  return claim.requestMappings.some((mapping) => {
    if (request === "" || mapping.containerName !== containerName || mapping.requestName !== request) return false;
    const amount = resources?.requests?.[mapping.resourceName];
    return amount !== undefined && amount !== "0";
  });
}

const healths = ["Healthy", "Unhealthy", "Unknown"];
const longestMessage = 1024;

function validateHealth({ resources = [] }: ResourceStatus, path: string): FieldError[] {
  const seen = new Set<string>();
  return resources.flatMap(({ resourceID, health = "", message }, index) => {
    const at = `${path}[${index}]`;
    const errors = healths.includes(health) ? [] : [notSupported(`${at}.health`, health, healths)];
    if (message === "") errors.push(requiredValue(`${at}.message`, "must be non-empty if specified"));
    else if (message !== undefined && new TextEncoder().encode(message).length > longestMessage) {
      errors.push(tooLong(`${at}.message`, longestMessage));
    }
    if (seen.has(resourceID)) errors.push(duplicateValue(`${at}.resourceID`, resourceID));
    seen.add(resourceID);
    return errors;
  });
}

function validateExtendedClaim(status: PodExtendedResourceClaimStatus | undefined, spec: PodSpec): FieldError[] {
  if (!status) return [];
  const path = "status.extendedResourceClaimStatus";
  const containers = new Map([...(spec.initContainers ?? []), ...spec.containers].map((one) => [one.name, one]));
  const { requestMappings: mappings, resourceClaimName: claim } = status;
  const errors: FieldError[] = [];
  if (mappings.length === 0) {
    errors.push(requiredValue(`${path}.requestMappings`, "at least one request mapping is required"));
  }
  const seen = new Set<string>();
  for (const [index, { containerName, resourceName, requestName }] of mappings.entries()) {
    const at = `${path}.requestMappings[${index}]`;
    const container = containers.get(containerName);
    if (!container) {
      const why = "must match the name of an entry in spec.initContainers.name or spec.containers.name";
      errors.push(invalidValue(`${at}.containerName`, containerName, why));
    } else if (!Object.hasOwn(container.resources?.requests ?? {}, resourceName)) {
      const where = "spec.initContainers.resources.requests or spec.containers.resources.requests";
      const why = `must match the extended resource name of an entry in ${where}`;
      errors.push(invalidValue(`${at}.resourceName`, resourceName, why));
    }
    errors.push(...invalidAll(`${path}.requestName`, requestName, dnsLabelErrors(requestName)));
    const key = JSON.stringify([containerName, resourceName, requestName]);
    if (seen.has(key)) {
      errors.push(
        duplicateValue(`${at}.containerName`, containerName),
        duplicateValue(`${at}.resourceName`, resourceName),
        duplicateValue(`${at}.requestName`, requestName),
      );
    }
    seen.add(key);
  }
  if (claim === "") return [...errors, requiredValue(`${path}.resourceClaimName`)];
  return [...errors, ...invalidAll(`${path}.resourceClaimName`, claim, dnsSubdomainErrors(claim))];
}
