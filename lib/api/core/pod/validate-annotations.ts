/** Rules for annotations about a pod's security or scheduling. */
import { deepEqual } from "#base";
import { type FieldError, forbiddenValue, invalidValue, type ObjectMeta } from "../../meta/index.ts";
import { checkDescendingPath } from "./paths.ts";
import type { AppArmorProfile, SeccompProfile } from "./security.ts";
import type { PodSpec } from "./spec.ts";
import { containersOf } from "./visit.ts";

/** On pods that a kubelet made from a manifest of its own. */
export const mirrorAnnotation = "kubernetes.io/config.mirror";
const deletionCost = "controller.kubernetes.io/pod-deletion-cost";
const appArmorPrefix = "container.apparmor.security.beta.kubernetes.io/";
const seccompPod = "seccomp.security.alpha.kubernetes.io/pod";
const seccompPrefix = "container.seccomp.security.alpha.kubernetes.io/";
const localhost = "localhost/";
const defaultProfile = "runtime/default";

type Annotations = Readonly<Record<string, string>>;

/** What upstream takes as a 32-bit integer: no plus, no zeros in front. */
function isDeletionCost(text: string): boolean {
  return /^(?:0|-?[1-9]\d*)$/.test(text) && Number(text) >= -2147483648 && Number(text) <= 2147483647;
}

export function validatePodAnnotations(annotations: Annotations = {}, spec: PodSpec, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const mirror = annotations[mirrorAnnotation];
  if (mirror !== undefined && !spec.nodeName) {
    const why = "must set spec.nodeName if mirror pod annotation is set";
    errors.push(invalidValue(`${path}[${mirrorAnnotation}]`, mirror, why));
  }
  const cost = annotations[deletionCost];
  if (cost !== undefined && !isDeletionCost(cost)) {
    errors.push(invalidValue(`${path}[${deletionCost}]`, cost, "must be a 32bit integer"));
  }
  for (const [key, profile] of Object.entries(annotations).sort()) {
    if (key === seccompPod || key.startsWith(seccompPrefix)) {
      errors.push(...validateSeccompText(profile, `${path}.${key}`));
    }
    if (!key.startsWith(appArmorPrefix)) continue;
    const name = key.slice(appArmorPrefix.length);
    if (![...containersOf(spec)].some(([container]) => container.name === name)) {
      errors.push(invalidValue(`${path}[${key}]`, name, "container not found"));
    }
    if (!["", defaultProfile, "unconfined"].includes(profile) && !profile.startsWith(localhost)) {
      errors.push(invalidValue(`${path}[${key}]`, profile, `invalid AppArmor profile name: "${profile}"`));
    }
  }
  return errors;
}

function validateSeccompText(profile: string, path: string): FieldError[] {
  if ([defaultProfile, "docker/default", "unconfined"].includes(profile)) return [];
  if (profile.startsWith(localhost)) return checkDescendingPath(path, profile.slice(localhost.length));
  return [invalidValue(path, profile, "must be a valid seccomp profile")];
}

/** Profiles in an annotation and in a field must be equal. */
export function validateProfilesMatch({ annotations = {} }: ObjectMeta, spec: PodSpec, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const { securityContext } = spec;
  const onPod = annotations[seccompPod];
  if (onPod !== undefined && securityContext?.seccompProfile) {
    errors.push(...compare("seccomp", onPod, securityContext.seccompProfile, `${path}.securityContext.seccompProfile`));
  }
  for (const [container, at] of containersOf(spec, path)) {
    const profile = container.securityContext?.seccompProfile;
    const text = annotations[seccompPrefix + container.name];
    if (profile && text !== undefined) {
      errors.push(...compare("seccomp", text, profile, `${at}.securityContext.seccompProfile`));
    }
  }
  if (spec.os?.name === "windows") return errors;
  for (const [container, at] of containersOf(spec, path)) {
    const profile = container.securityContext?.appArmorProfile ?? securityContext?.appArmorProfile;
    const text = annotations[appArmorPrefix + container.name];
    if (!profile || text === undefined) continue;
    errors.push(...compare("apparmor", text, profile, `${at}.securityContext.appArmorProfile`));
  }
  return errors;
}

function compare(
  what: "seccomp" | "apparmor",
  text: string,
  profile: SeccompProfile | AppArmorProfile,
  path: string,
): FieldError[] {
  const wrongType = [forbiddenValue(`${path}.type`, `${what} type in annotation and field must match`)];
  if (profile.type === "Unconfined") return text === "unconfined" ? [] : wrongType;
  if (profile.type === "RuntimeDefault") {
    return text === defaultProfile || (what === "seccomp" && text === "docker/default") ? [] : wrongType;
  }
  if (profile.type !== "Localhost") return [];
  if (!text.startsWith(localhost)) return wrongType;
  if (text.slice(localhost.length) === profile.localhostProfile) return [];
  return [forbiddenValue(`${path}.localhostProfile`, `${what} profile in annotation and field must match`)];
}

/** AppArmor annotations and the mark of a mirror pod are there from the start or never. */
export function validateAnnotationChanges(
  next: Annotations = {},
  previous: Annotations = {},
  path: string,
): FieldError[] {
  if (deepEqual(next, previous)) return [];
  const errors: FieldError[] = [];
  const watched = (key: string): string | undefined => {
    if (key.startsWith(appArmorPrefix)) return "AppArmor annotations";
    return key === mirrorAnnotation ? "mirror pod annotation" : undefined;
  };
  for (const [key, value] of Object.entries(previous)) {
    const what = watched(key);
    if (what && next[key] !== value) errors.push(forbiddenValue(`${path}[${key}]`, `may not remove or update ${what}`));
  }
  for (const key of Object.keys(next)) {
    const what = watched(key);
    if (what && previous[key] === undefined) errors.push(forbiddenValue(`${path}[${key}]`, `may not add ${what}`));
  }
  return errors;
}
