/** Rules for a pod's spec and for pod templates. */
import {
  checkOneOf,
  checkUnique,
  dnsLabelErrors,
  dnsSubdomainErrors,
  dnsSubdomainUnderscoredErrors,
  type FieldError,
  forbiddenValue,
  inRangeErrors,
  invalidAll,
  invalidValue,
  labelKeyErrors,
  legacyIpErrors,
  notFoundValue,
  requiredValue,
  tooLong,
  validateAnnotations,
  validateLabels,
} from "../../meta/index.ts";
import type { Pod, PodSpec, PodTemplateSpec } from "./spec.ts";
import { mirrorAnnotation, validatePodAnnotations, validateProfilesMatch } from "./validate-annotations.ts";
import {
  validateContainers,
  validateEphemeralContainers,
  validateImage,
  validateInitContainers,
} from "./validate-containers.ts";
import { validateContainerResources, validatePodClaims, validatePodResources } from "./validate-resources.ts";
import { validateAffinity, validateSpread, validateTolerations } from "./validate-scheduling.ts";
import { validatePodSecurity } from "./validate-security.ts";
import { validateVolumes } from "./validate-volumes.ts";
import { validateForLinux, validateForWindows, validateHostProcess } from "./validate-windows.ts";
import { containersOf } from "./visit.ts";
import type { Volume } from "./volume.ts";

/** The pod that a spec belongs to; a template belongs to none. */
interface Owner {
  name: string;
  isMirror: boolean;
}

function validateSpec(spec: PodSpec, owner: Owner | undefined, path: string): FieldError[] {
  const volumes = new Map<string, Volume>();
  const claims = new Set((spec.resourceClaims ?? []).flatMap(({ name }) => name || []));
  const context = { spec, volumes, claims };
  const errors = validateVolumes(spec.volumes ?? [], `${path}.volumes`, { podName: owner?.name }, volumes);
  errors.push(...validatePodClaims(spec.resourceClaims ?? [], owner?.isMirror ?? false, `${path}.resourceClaims`));
  errors.push(...validateContainers(context, `${path}.containers`));
  errors.push(...validateInitContainers(context, `${path}.initContainers`));
  errors.push(...validateEphemeralContainers(context, `${path}.ephemeralContainers`));
  errors.push(...validatePodResources(spec, claims, path));
  errors.push(...validateHostPorts(spec, owner !== undefined, `${path}.containers`));
  errors.push(...checkOneOf(`${path}.restartPolicy`, spec.restartPolicy, ["Always", "OnFailure", "Never"]));
  errors.push(...checkOneOf(`${path}.dnsPolicy`, spec.dnsPolicy, dnsPolicies));
  errors.push(...validateLabels(spec.nodeSelector, `${path}.nodeSelector`));
  errors.push(...validatePodSecurity(spec, `${path}.securityContext`));
  errors.push(...validateAffinity(spec.affinity, `${path}.affinity`));
  errors.push(...validateDns(spec, `${path}.dnsConfig`));
  errors.push(...validateGates(spec, path));
  errors.push(...validateSpread(spec.topologySpreadConstraints ?? [], `${path}.topologySpreadConstraints`));
  errors.push(...validateHostProcess(spec, path));
  errors.push(...validateOwnUsers(spec, path), ...validateHostnameOverride(spec, `${path}.hostnameOverride`));
  errors.push(...validateNames(spec, path));
  errors.push(...validateTolerations(spec.tolerations ?? [], `${path}.tolerations`));
  errors.push(...validateHostAliases(spec, `${path}.hostAliases`));
  errors.push(...validateClasses(spec, path), ...validateOs(spec, path), ...validateFileRefs(spec, path));
  return errors;
}

const dnsPolicies = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];

/** On the node's network a port is the node's port. */
function validateHostPorts(spec: PodSpec, isPod: boolean, path: string): FieldError[] {
  if (!spec.hostNetwork) return [];
  const errors: FieldError[] = [];
  for (const [index, { ports = [] }] of (spec.containers ?? []).entries()) {
    for (const [place, { hostPort = 0, containerPort = 0 }] of ports.entries()) {
      if (hostPort === containerPort || (!isPod && hostPort === 0)) continue;
      const field = `${path}[${index}].ports[${place}].hostPort`;
      errors.push(invalidValue(field, hostPort, "must match `containerPort` when `hostNetwork` is true"));
    }
  }
  return errors;
}

function validateDns({ dnsPolicy, dnsConfig }: PodSpec, path: string): FieldError[] {
  if (dnsPolicy === "None") {
    if (!dnsConfig) return [requiredValue(path, "must provide `dnsConfig` when `dnsPolicy` is None")];
    if (!dnsConfig.nameservers?.length) {
      const why = "must provide at least one DNS nameserver when `dnsPolicy` is None";
      return [requiredValue(`${path}.nameservers`, why)];
    }
  }
  if (!dnsConfig) return [];
  const { nameservers = [], searches = [], options = [] } = dnsConfig;
  const errors: FieldError[] = [];
  if (nameservers.length > 3) {
    errors.push(invalidValue(`${path}.nameservers`, nameservers, "must not have more than 3 nameservers"));
  }
  for (const [index, server] of nameservers.entries()) {
    errors.push(...legacyIpErrors(`${path}.nameservers[${index}]`, server));
  }
  if (searches.length > 32) {
    errors.push(invalidValue(`${path}.searches`, searches, "must not have more than 32 search paths"));
  }
  if (searches.join(" ").length > 2048) {
    const why = "must not have more than 2048 characters (including spaces) in the search list";
    errors.push(invalidValue(`${path}.searches`, searches, why));
  }
  for (const [index, search] of searches.entries()) {
    if (search === ".") continue;
    const name = search.replace(/\.$/, "");
    errors.push(...invalidAll(`${path}.searches[${index}]`, name, dnsSubdomainUnderscoredErrors(name)));
  }
  for (const [index, { name }] of options.entries()) {
    if (!name) errors.push(requiredValue(`${path}.options[${index}]`, "must not be empty"));
  }
  return errors;
}

function validateGates({ readinessGates = [], schedulingGates = [] }: PodSpec, path: string): FieldError[] {
  const errors = readinessGates.flatMap(({ conditionType = "" }, index) =>
    invalidAll(`${path}.readinessGates[${index}].conditionType`, conditionType, labelKeyErrors(conditionType)),
  );
  const seen = new Set<string>();
  for (const [index, { name = "" }] of schedulingGates.entries()) {
    const field = `${path}.schedulingGates[${index}]`;
    errors.push(...invalidAll(field, name, labelKeyErrors(name)), ...checkUnique(field, name, seen));
  }
  return errors;
}

/** A pod with users of its own shares nothing with the node that would give them away. */
function validateOwnUsers(spec: PodSpec, path: string): FieldError[] {
  if (spec.hostUsers ?? true) return [];
  const why = "when `hostUsers` is false";
  const errors: FieldError[] = [];
  if (spec.hostNetwork) errors.push(forbiddenValue(`${path}.hostNetwork`, why));
  if (spec.hostPID) errors.push(forbiddenValue(`${path}.HostPID`, why));
  if (spec.hostIPC) errors.push(forbiddenValue(`${path}.HostIPC`, why));
  for (const [{ volumeDevices }, at] of containersOf(spec, path)) {
    if (volumeDevices?.length) errors.push(forbiddenValue(`${at}.volumeDevices`, why));
  }
  return errors;
}

function validateHostnameOverride(spec: PodSpec, field: string): FieldError[] {
  const name = spec.hostnameOverride;
  if (name === undefined) return [];
  const errors: FieldError[] = [];
  if (spec.setHostnameAsFQDN) {
    errors.push(forbiddenValue(field, "may not be specified when setHostnameAsFQDN is true"));
  }
  if (spec.hostNetwork) errors.push(forbiddenValue(field, "may not be specified when hostNetwork is true"));
  if (name.length > 64) errors.push(tooLong(field, 64));
  return [...errors, ...invalidAll(field, name, dnsSubdomainErrors(name))];
}

function validateNames(spec: PodSpec, path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const field of ["serviceAccountName", "nodeName"] as const) {
    const name = spec[field];
    if (name) errors.push(...invalidAll(`${path}.${field}`, name, dnsSubdomainErrors(name)));
  }
  const deadline = spec.activeDeadlineSeconds;
  if (deadline !== undefined) {
    errors.push(...invalidAll(`${path}.activeDeadlineSeconds`, deadline, inRangeErrors(deadline, 1, 2147483647)));
  }
  for (const field of ["hostname", "subdomain"] as const) {
    const name = spec[field];
    if (name) errors.push(...invalidAll(`${path}.${field}`, name, dnsLabelErrors(name)));
  }
  return errors;
}

const validateHostAliases = ({ hostAliases = [] }: PodSpec, path: string): FieldError[] =>
  hostAliases.flatMap(({ ip = "", hostnames = [] }, index) => [
    ...legacyIpErrors(`${path}[${index}].ip`, ip),
    ...hostnames.flatMap((name, place) =>
      invalidAll(`${path}[${index}].hostnames[${place}]`, name, dnsSubdomainErrors(name)),
    ),
  ]);

function validateClasses(spec: PodSpec, path: string): FieldError[] {
  const { priorityClassName, runtimeClassName, preemptionPolicy, overhead } = spec;
  const errors: FieldError[] = [];
  if (priorityClassName) {
    errors.push(...invalidAll(`${path}.priorityClassName`, priorityClassName, dnsSubdomainErrors(priorityClassName)));
  }
  if (runtimeClassName !== undefined) {
    errors.push(...invalidAll(`${path}.runtimeClassName`, runtimeClassName, dnsSubdomainErrors(runtimeClassName)));
  }
  errors.push(...checkOneOf(`${path}.preemptionPolicy`, preemptionPolicy, ["PreemptLowerPriority", "Never"]));
  if (overhead) errors.push(...validateContainerResources({ limits: overhead }, new Set(), `${path}.overhead`));
  return errors;
}

function validateOs(spec: PodSpec, path: string): FieldError[] {
  if (!spec.os) return [];
  const { name } = spec.os;
  if (!name) return [requiredValue(`${path}.os.name`)];
  if (name === "linux") return validateForLinux(spec, path);
  return name === "windows" ? validateForWindows(spec, path) : checkOneOf(`${path}.os`, name, ["linux", "windows"]);
}

function validateFileRefs(spec: PodSpec, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const volumes = new Map((spec.volumes ?? []).map((volume) => [volume.name, volume]));
  for (const [{ env = [] }, at] of containersOf(spec, path)) {
    for (const [index, { valueFrom }] of env.entries()) {
      const name = valueFrom?.fileKeyRef?.volumeName;
      if (!valueFrom?.fileKeyRef) continue;
      const field = `${at}.env[${index}].valueFrom.fileKeyRef.volumeName`;
      const volume = volumes.get(name ?? "");
      if (!volume) errors.push(notFoundValue(field, name ?? ""));
      else if (!volume.emptyDir) {
        errors.push(invalidValue(field, name, "referenced volume must be of type emptyDir"));
      }
    }
  }
  return errors;
}

/** A pod, new or changed. */
export function validatePod({ metadata, spec }: Pod): FieldError[] {
  if (!spec) return validatePod({ metadata, spec: { containers: [] } });
  const isMirror = metadata.annotations?.[mirrorAnnotation] !== undefined;
  const errors = validatePodAnnotations(metadata.annotations, spec, "metadata.annotations");
  errors.push(...validateSpec(spec, { name: metadata.name ?? "", isMirror }, "spec"));
  if (!spec.serviceAccountName) {
    for (const [index, { projected }] of (spec.volumes ?? []).entries()) {
      for (const [place, { serviceAccountToken }] of (projected?.sources ?? []).entries()) {
        if (!serviceAccountToken) continue;
        const field = `spec.volumes[${index}].projected.sources[${place}].serviceAccountToken`;
        errors.push(forbiddenValue(field, "must not be specified when serviceAccountName is not set"));
      }
    }
  }
  for (const part of ["containers", "initContainers"] as const) {
    for (const [index, { image }] of (spec[part] ?? []).entries()) {
      errors.push(...validateImage(image, `spec.${part}[${index}]`));
    }
  }
  return errors;
}

/** What only a new pod must fulfil. */
export function validateNewPod({ metadata, spec }: Pod): FieldError[] {
  if (!spec) return [];
  const errors: FieldError[] = [];
  if (spec.ephemeralContainers?.length) {
    errors.push(forbiddenValue("spec.ephemeralContainers", "cannot be set on create"));
  }
  if (spec.nodeName && spec.schedulingGates?.length) {
    errors.push(forbiddenValue("spec.nodeName", "cannot be set until all schedulingGates have been cleared"));
  }
  return [...errors, ...validateProfilesMatch(metadata, spec, "spec")];
}

/** A pod template, as controllers have it. */
export function validatePodTemplate({ metadata = {}, spec }: PodTemplateSpec, path: string): FieldError[] {
  const template = spec ?? { containers: [] };
  const errors = validateLabels(metadata.labels, `${path}.labels`);
  errors.push(...validateAnnotations(metadata.annotations, `${path}.annotations`));
  errors.push(...validatePodAnnotations(metadata.annotations, template, `${path}.annotations`));
  errors.push(...validateSpec(template, undefined, `${path}.spec`));
  errors.push(...validateProfilesMatch(metadata, template, `${path}.spec`));
  if (template.ephemeralContainers?.length) {
    const why = "ephemeral containers not allowed in pod template";
    errors.push(forbiddenValue(`${path}.spec.ephemeralContainers`, why));
  }
  return errors;
}
