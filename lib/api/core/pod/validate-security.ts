/** Rules for the security contexts of pods and containers. */
import {
  checkOneOf,
  checkUnique,
  type FieldError,
  invalidAll,
  invalidValue,
  notSupported,
  requiredValue,
  tooLong,
  unixIdErrors,
} from "../../meta/index.ts";
import { checkDescendingPath } from "./paths.ts";
import type { AppArmorProfile, PodSecurityContext, SeccompProfile, SecurityContext } from "./security.ts";
import type { PodSpec } from "./spec.ts";
import { validateWindowsOptions } from "./validate-windows.ts";

const profileTypes = ["Localhost", "RuntimeDefault", "Unconfined"];

function validateSeccomp(profile: SeccompProfile | undefined, path: string): FieldError[] {
  if (!profile) return [];
  const { type, localhostProfile } = profile;
  const field = `${path}.localhostProfile`;
  const errors = type
    ? checkOneOf(`${path}.type`, type, profileTypes)
    : [requiredValue(`${path}.type`, "type is required when seccompProfile is set")];
  if (type !== "Localhost") {
    if (localhostProfile === undefined) return errors;
    return [...errors, invalidValue(field, profile, "can only be set when seccomp type is Localhost")];
  }
  if (localhostProfile !== undefined) return [...errors, ...checkDescendingPath(field, localhostProfile)];
  return [...errors, requiredValue(field, "must be set when seccomp type is Localhost")];
}

/** Longest path that Linux takes, without its end. */
const longestPath = 4095;

export function validateAppArmor(profile: AppArmorProfile | undefined, path: string): FieldError[] {
  if (!profile) return [];
  const { type, localhostProfile } = profile;
  const field = `${path}.localhostProfile`;
  const missing = requiredValue(field, "must be set when AppArmor type is Localhost");
  if (!type) return [requiredValue(`${path}.type`, "type is required when appArmorProfile is set")];
  if (!profileTypes.includes(type)) return [notSupported(`${path}.type`, type, profileTypes)];
  if (type !== "Localhost") {
    if (localhostProfile === undefined) return [];
    return [invalidValue(field, localhostProfile, "can only be set when AppArmor type is Localhost")];
  }
  if (localhostProfile === undefined) return [missing];
  const errors: FieldError[] = [];
  if (localhostProfile.trim() !== localhostProfile) {
    errors.push(invalidValue(field, localhostProfile, "must not be padded with whitespace"));
  } else if (localhostProfile === "") errors.push(missing);
  if (localhostProfile.length > longestPath) errors.push(tooLong(field, longestPath));
  return errors;
}

const checkId = (field: string, id: number | undefined): FieldError[] =>
  id === undefined ? [] : invalidAll(field, id, unixIdErrors(id));

/** A container's own context. Privileged containers are allowed, as kubeadm's clusters allow them. */
export function validateSecurityContext(
  context: SecurityContext | undefined,
  hostUsers: boolean,
  path: string,
): FieldError[] {
  if (!context) return [];
  const { runAsUser, runAsGroup, procMount, allowPrivilegeEscalation, privileged, capabilities } = context;
  const errors = [...checkId(`${path}.runAsUser`, runAsUser), ...checkId(`${path}.runAsGroup`, runAsGroup)];
  errors.push(...checkOneOf(`${path}.procMount`, procMount, ["Default", "Unmasked"]));
  if (hostUsers && procMount === "Unmasked") {
    errors.push(invalidValue(`${path}.procMount`, procMount, "`hostUsers` must be false to use `Unmasked`"));
  }
  errors.push(...validateSeccomp(context.seccompProfile, `${path}.seccompProfile`));
  if (allowPrivilegeEscalation === false) {
    if (privileged) {
      const why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
      errors.push(invalidValue(path, context, why));
    }
    for (const name of capabilities?.add ?? []) {
      if (name !== "CAP_SYS_ADMIN") continue;
      const why = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
      errors.push(invalidValue(path, context, why));
    }
  }
  errors.push(...validateWindowsOptions(context.windowsOptions, `${path}.windowsOptions`));
  return [...errors, ...validateAppArmor(context.appArmorProfile, `${path}.appArmorProfile`)];
}

/** The pod's context, with the host namespaces that the pod shares. */
export function validatePodSecurity(spec: PodSpec, path: string): FieldError[] {
  const context = spec.securityContext;
  if (!context) return [];
  const errors: FieldError[] = [];
  for (const field of ["fsGroup", "runAsUser", "runAsGroup"] as const) {
    errors.push(...checkId(`${path}.${field}`, context[field]));
  }
  for (const [index, group] of (context.supplementalGroups ?? []).entries()) {
    errors.push(...checkId(`${path}.supplementalGroups[${index}]`, group));
  }
  if (spec.shareProcessNamespace && spec.hostPID) {
    const why = "ShareProcessNamespace and HostPID cannot both be enabled";
    errors.push(invalidValue(`${path}.shareProcessNamespace`, true, why));
  }
  errors.push(...validateSysctls(context, spec, `${path}.sysctls`));
  errors.push(...checkOneOf(`${path}.fsGroupChangePolicy`, context.fsGroupChangePolicy, ["Always", "OnRootMismatch"]));
  errors.push(...validateSeccomp(context.seccompProfile, `${path}.seccompProfile`));
  errors.push(...validateWindowsOptions(context.windowsOptions, `${path}.windowsOptions`));
  errors.push(...validateAppArmor(context.appArmorProfile, `${path}.appArmorProfile`));
  errors.push(...checkOneOf(`${path}.supplementalGroupsPolicy`, context.supplementalGroupsPolicy, ["Merge", "Strict"]));
  errors.push(...checkOneOf(`${path}.seLinuxChangePolicy`, context.seLinuxChangePolicy, ["MountOption", "Recursive"]));
  return errors;
}

const sysctlPart = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?";
const sysctlSource = `^(${sysctlPart}[\\./])*${sysctlPart}$`;
const sysctlPattern = new RegExp(sysctlSource);

function validateSysctls({ sysctls = [] }: PodSecurityContext, spec: PodSpec, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  for (const [index, { name = "" }] of sysctls.entries()) {
    const field = `${path}[${index}].name`;
    if (!name) errors.push(requiredValue(field));
    else if (name.length > 253 || !sysctlPattern.test(name)) {
      errors.push(invalidValue(field, name, `must have at most 253 characters and match regex ${sysctlSource}`));
    } else errors.push(...checkUnique(field, name, names));
    const namespace = namespaceOf(name);
    if (spec.hostNetwork && namespace === "network") {
      errors.push(invalidValue(field, name, "may not be specified when 'hostNetwork' is true"));
    } else if (spec.hostIPC && namespace === "ipc") {
      errors.push(invalidValue(field, name, "may not be specified when 'hostIPC' is true"));
    }
  }
  return errors;
}

/** The Linux namespace that a kernel setting belongs to. */
function namespaceOf(name: string): "network" | "ipc" | undefined {
  const dotted = name.replaceAll("/", ".");
  if (dotted.startsWith("net.")) return "network";
  return /^(?:kernel\.(?:sem|shm|msg)|fs\.mqueue\.)/.test(dotted) ? "ipc" : undefined;
}
