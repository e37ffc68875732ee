/** Rules for Windows pods, and for what Windows alone knows. */
import { dnsSubdomainErrors, type FieldError, forbiddenValue, invalidAll, invalidValue } from "../../meta/index.ts";
import type { WindowsSecurityContextOptions } from "./security.ts";
import type { PodSpec } from "./spec.ts";
import { containersOf } from "./visit.ts";

/** In bytes. */
const maximumCredentialSpec = 64 * 1024;

export function validateWindowsOptions(options: WindowsSecurityContextOptions | undefined, path: string): FieldError[] {
  if (!options) return [];
  const { gmsaCredentialSpecName: name, gmsaCredentialSpec: spec, runAsUserName } = options;
  const errors = name === undefined ? [] : invalidAll(`${path}.gmsaCredentialSpecName`, name, dnsSubdomainErrors(name));
  const field = `${path}.gmsaCredentialSpec`;
  if (spec === "") errors.push(invalidValue(field, spec, "gmsaCredentialSpec cannot be an empty string"));
  else if (spec !== undefined && spec.length > maximumCredentialSpec) {
    errors.push(invalidValue(field, spec, "gmsaCredentialSpec size must be under 64 KiB"));
  }
  if (runAsUserName === undefined) return errors;
  return [...errors, ...invalidAll(`${path}.runAsUserName`, runAsUserName, userNameErrors(runAsUserName))];
}

const netBios = /^[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}$/;
const domainName =
  /^[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$/;

/** A user, or a domain, a backslash and a user. */
function userNameErrors(name: string): string[] {
  if (name === "") return ["runAsUserName cannot be an empty string"];
  if (/\p{Cc}/u.test(name)) return ["runAsUserName cannot contain control characters"];
  const parts = name.split("\\");
  if (parts.length > 2) return ["runAsUserName cannot contain more than one backslash"];
  const domain = parts.length === 2 ? parts[0]! : undefined;
  const user = parts.at(-1)!;
  const errors: string[] = [];
  if ((domain ?? "").length >= 256) errors.push("runAsUserName's Domain length must be under 256 characters");
  if (domain !== undefined && !netBios.test(domain) && !domainName.test(domain)) {
    errors.push("runAsUserName's Domain doesn't match the NetBios nor the DNS format");
  }
  if (user === "") errors.push("runAsUserName's User cannot be empty");
  else if (user.length > 104) errors.push("runAsUserName's User length must not be longer than 104 characters");
  if (/^[. ]+$/.test(user)) errors.push("runAsUserName's User cannot contain only periods or spaces");
  if (/["/\\:;|=,+*?<>@[\]]/.test(user)) {
    errors.push(`runAsUserName's User cannot contain the following characters: "/\\:;|=,+*?<>@[]`);
  }
  return errors;
}

/** Host process containers: all or none, and on the node's network. */
export function validateHostProcess(spec: PodSpec, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const forPod = spec.securityContext?.windowsOptions?.hostProcess;
  let count = 0;
  let hostCount = 0;
  for (const [{ securityContext }, at] of containersOf(spec, path)) {
    const own = securityContext?.windowsOptions?.hostProcess;
    count++;
    if (own ?? forPod) hostCount++;
    if (forPod === undefined || own === undefined || own === forPod) continue;
    const why = `pod hostProcess value must be identical if both are specified, was ${forPod}`;
    errors.push(invalidValue(`${at}.securityContext.windowsOptions.hostProcess`, own, why));
  }
  if (hostCount === 0) return errors;
  if (hostCount !== count) {
    const why = "If pod contains any hostProcess containers then all containers must be HostProcess containers";
    errors.push(invalidValue(path, "", why));
  }
  if (!spec.hostNetwork) {
    const why = "hostNetwork must be true if pod contains any hostProcess containers";
    errors.push(invalidValue(`${path}.hostNetwork`, false, why));
  }
  return errors;
}

const notOnWindows = "cannot be set for a windows pod";

const podFields = [
  "appArmorProfile",
  "seLinuxOptions",
  "hostUsers",
  "hostPID",
  "hostIPC",
  "seccompProfile",
  "fsGroup",
  "fsGroupChangePolicy",
  "sysctls",
  "shareProcessNamespace",
  "runAsUser",
  "runAsGroup",
  "supplementalGroups",
  "supplementalGroupsPolicy",
  "seLinuxChangePolicy",
] as const;
const podLevel = ["hostUsers", "hostPID", "hostIPC", "shareProcessNamespace"] as const;
const containerFields = [
  "appArmorProfile",
  "seLinuxOptions",
  "seccompProfile",
  "capabilities",
  "readOnlyRootFilesystem",
  "privileged",
  "allowPrivilegeEscalation",
  "procMount",
  "runAsUser",
  "runAsGroup",
] as const;

/** What makes no sense on Windows. */
export function validateForWindows(spec: PodSpec, path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const field of podFields) {
    const isPodLevel = (podLevel as readonly string[]).includes(field);
    const holder = (isPodLevel ? spec : (spec.securityContext ?? {})) as Record<string, unknown>;
    const value = holder[field];
    // The two booleans without a pointer upstream count only when they are true.
    if (value === undefined || ((field === "hostPID" || field === "hostIPC") && !value)) continue;
    errors.push(forbiddenValue(isPodLevel ? `${path}.${field}` : `${path}.securityContext.${field}`, notOnWindows));
  }
  for (const [{ securityContext }, at] of containersOf(spec, path)) {
    for (const field of containerFields) {
      if (securityContext?.[field] === undefined) continue;
      errors.push(forbiddenValue(`${at}.securityContext.${field}`, notOnWindows));
    }
  }
  return errors;
}

/** What only Windows knows. */
export function validateForLinux(spec: PodSpec, path: string): FieldError[] {
  const why = "windows options cannot be set for a linux pod";
  const errors: FieldError[] = [];
  if (spec.securityContext?.windowsOptions) errors.push(forbiddenValue(`${path}.securityContext.windowsOptions`, why));
  for (const [{ securityContext }, at] of containersOf(spec, path)) {
    if (securityContext?.windowsOptions) errors.push(forbiddenValue(`${at}.securityContext.windowsOptions`, why));
  }
  return errors;
}
