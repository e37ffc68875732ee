/** Rules for writes to a pod's status. */
import {
  dnsSubdomainErrors,
  type FieldError,
  forbiddenValue,
  invalidAll,
  invalidValue,
  labelKeyErrors,
  legacyIpErrors,
  parseIp,
  validateImmutable,
} from "../../meta/index.ts";
import type { Container } from "./container.ts";
import type { ContainerStatus } from "./container-status.ts";
import type { Pod, PodSpec } from "./spec.ts";
import type { PodStatus } from "./status.ts";
import { validateAnnotationChanges, validatePodAnnotations } from "./validate-annotations.ts";
import { validateContainerStatuses } from "./validate-container-status.ts";

const ownConditions = ["PodScheduled", "Ready", "Initialized"];

export function validatePodStatus(next: Pod, previous: Pod): FieldError[] {
  const path = "metadata.annotations";
  const spec = next.spec ?? { containers: [] };
  const { status: after = {} } = next;
  const { status: before = {} } = previous;
  const errors = validateAnnotationChanges(next.metadata.annotations, previous.metadata.annotations, path);
  errors.push(...validatePodAnnotations(next.metadata.annotations, spec, path));
  errors.push(...validateConditions(after), ...validateNominated(after, before, previous.spec?.nodeName));
  if ((after.observedGeneration ?? 0) < 0) {
    errors.push(invalidValue("status.observedGeneration", after.observedGeneration, "must be a non-negative integer"));
  }
  errors.push(...validateImmutable(after.qosClass ?? "", before.qosClass ?? "", "status.qosClass"));
  for (const [field, containers] of [
    ["containerStatuses", spec.containers],
    ["initContainerStatuses", spec.initContainers],
    ["ephemeralContainerStatuses", undefined],
  ] as const) {
    errors.push(...validateTransitions(after[field] ?? [], before[field] ?? [], `status.${field}`, containers, spec));
  }
  errors.push(...validateClaims(after, spec), ...validateContainerStatuses(after, spec));
  errors.push(...validateAddresses(after.podIPs, before.podIPs, "status.podIPs"));
  const hosts = after.hostIPs;
  if (hosts?.length && (after.hostIP ?? "") !== hosts[0]!.ip) {
    errors.push(invalidValue("status.hostIPs[0].ip", hosts[0]!.ip ?? "", "must be equal to `hostIP`"));
  }
  return [...errors, ...validateAddresses(hosts, before.hostIPs, "status.hostIPs")];
}

const validateConditions = ({ conditions = [] }: PodStatus): FieldError[] =>
  conditions.flatMap(({ type = "", observedGeneration = 0 }, index) => {
    const at = `status.conditions[${index}]`;
    const errors: FieldError[] = [];
    if (observedGeneration < 0) {
      errors.push(invalidValue(`${at}.observedGeneration`, observedGeneration, "must be a non-negative integer"));
    }
    return ownConditions.includes(type) ? errors : [...errors, ...invalidAll(`${at}.Type`, type, labelKeyErrors(type))];
  });

function validateNominated(after: PodStatus, before: PodStatus, nodeName: string | undefined): FieldError[] {
  const name = after.nominatedNodeName;
  if (!name || name === before.nominatedNodeName) return [];
  const field = "status.nominatedNodeName";
  const errors = invalidAll(field, name, dnsSubdomainErrors(name));
  if (nodeName) errors.push(forbiddenValue(field, "may not be set on pods that are already bound to a node"));
  return errors;
}

/** A container that has ended starts again only where its policy lets it. */
function validateTransitions(
  after: readonly ContainerStatus[],
  before: readonly ContainerStatus[],
  path: string,
  containers: readonly Container[] | undefined,
  spec: PodSpec,
): FieldError[] {
  const all = [...(spec.containers ?? []), ...(spec.initContainers ?? [])];
  const restartsAll = all.some(({ restartPolicyRules: rules = [] }) =>
    rules.some(({ action }) => action === "RestartAllContainers"),
  );
  // Ephemeral containers never restart.
  if (restartsAll && path !== "status.ephemeralContainerStatuses") return [];
  return before.flatMap(({ name, state }, index) => {
    if (!state?.terminated) return [];
    const now = after.find((status) => status.name === name);
    if (!now || now.state?.terminated) return [];
    const container = containers?.find((candidate) => candidate.name === name);
    if (container && mayRestart(container, spec.restartPolicy, state.terminated.exitCode)) return [];
    return [forbiddenValue(`${path}[${index}].state`, "may not be transitioned to non-terminated state")];
  });
}

function mayRestart(container: Container, podPolicy: string | undefined, exitCode: number): boolean {
  const { restartPolicy, restartPolicyRules = [] } = container;
  const rule = restartPolicyRules.find(({ exitCodes }) => {
    const listed = exitCodes?.values?.includes(exitCode) ?? false;
    return exitCodes && (exitCodes.operator === "In" ? listed : exitCodes.operator === "NotIn" && !listed);
  });
  if (restartPolicy !== undefined && rule) return true;
  switch (restartPolicy ?? podPolicy) {
    case "OnFailure":
      return exitCode !== 0;
    case "Never":
      return false;
    default:
      return true;
  }
}

function validateClaims({ resourceClaimStatuses = [] }: PodStatus, spec: PodSpec): FieldError[] {
  const known = new Set((spec.resourceClaims ?? []).map(({ name }) => name));
  return resourceClaimStatuses.flatMap(({ name = "", resourceClaimName }, index) => {
    const at = `status.resourceClaimStatuses[${index}]`;
    const errors: FieldError[] = [];
    if (!known.has(name)) {
      errors.push(invalidValue(`${at}.name`, name, "must match the name of an entry in `spec.resourceClaims`"));
    }
    if (resourceClaimName === undefined) return errors;
    return [
      ...errors,
      ...invalidAll(`${at}.resourceClaimName`, resourceClaimName, dnsSubdomainErrors(resourceClaimName)),
    ];
  });
}

type Addresses = readonly { ip: string }[] | undefined;

/** Addresses of a pod or its host: one for each IP version. */
function validateAddresses(after: Addresses, before: Addresses, path: string): FieldError[] {
  const accepted = (before ?? []).map(({ ip }) => ip);
  const addresses = after ?? [];
  const errors = addresses.flatMap(({ ip = "" }, index) => legacyIpErrors(`${path}[${index}]`, ip, accepted));
  if (addresses.length < 2) return errors;
  const versions = new Set(addresses.map(({ ip }) => parseIp(ip)?.version));
  if (versions.size === 2 && addresses.length === 2) return errors;
  return [...errors, invalidValue(path, addresses, "may specify no more than one IP for each IP family")];
}
