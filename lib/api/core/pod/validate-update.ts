/** What may change in a pod that is there. */
import { clone, deepEqual } from "#base";
import {
  type FieldError,
  forbiddenValue,
  inRangeErrors,
  invalidAll,
  invalidValue,
  requiredValue,
} from "../../meta/index.ts";
import type { NodeAffinity } from "./affinity.ts";
import type { Pod, PodSpec } from "./spec.ts";
import { mirrorAnnotation, validateAnnotationChanges } from "./validate-annotations.ts";
import { validatePod } from "./validate-spec.ts";

const mayChange = [
  "`spec.containers[*].image`",
  "`spec.initContainers[*].image`",
  "`spec.activeDeadlineSeconds`",
  "`spec.tolerations` (only additions to existing tolerations)",
  "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
].join(",");

/** A write to the pod itself; its own rules have already been looked at. */
export function validatePodUpdate(next: Pod, previous: Pod): FieldError[] {
  const errors = validateAnnotationChanges(
    next.metadata.annotations,
    previous.metadata.annotations,
    "metadata.annotations",
  );
  const after = next.spec ?? { containers: [] };
  const before = previous.spec ?? { containers: [] };
  for (const part of ["containers", "initContainers"] as const) {
    if ((after[part] ?? []).length !== (before[part] ?? []).length) {
      return [...errors, forbiddenValue(`spec.${part}`, "pod updates may not add or remove containers")];
    }
    for (const [index, { image }] of (after[part] ?? []).entries()) {
      if (!image) errors.push(requiredValue(`spec.${part}[${index}].image`));
    }
  }
  const deadline = validateDeadline(after.activeDeadlineSeconds, before.activeDeadlineSeconds);
  errors.push(...deadline.errors);
  if (deadline.stop) return errors;
  errors.push(...validateAddedTolerations(after, before), ...validateRemovedGates(after, before));
  if (deepEqual(after, before)) return errors;
  const masked = maskChangeable(after, before);
  if (before.schedulingGates?.length) errors.push(...maskPlacement(masked, before));
  if (deepEqual(masked, before)) return errors;
  const changed = [...new Set([...Object.keys(masked), ...Object.keys(before)])]
    .filter((key) => !deepEqual(masked[key as keyof PodSpec], before[key as keyof PodSpec]))
    .map((key) => `spec.${key}`);
  const why = `pod updates may not change fields other than ${mayChange}\n${changed.join(", ")}`;
  return [...errors, forbiddenValue("spec", why)];
}

/** A deadline may be set once and shortened, never lengthened or taken away. */
function validateDeadline(
  after: number | undefined,
  before: number | undefined,
): { errors: FieldError[]; stop: boolean } {
  const field = "spec.activeDeadlineSeconds";
  if (after === undefined) {
    if (before === undefined) return { errors: [], stop: false };
    const why = "must not update from a positive integer to nil value";
    return { errors: [invalidValue(field, after, why)], stop: false };
  }
  const range = invalidAll(field, after, inRangeErrors(after, 0, 2147483647));
  if (range.length > 0) return { errors: range, stop: true };
  if (before === undefined || before >= after) return { errors: [], stop: false };
  return { errors: [invalidValue(field, after, "must be less than or equal to previous value")], stop: true };
}

function validateAddedTolerations(after: PodSpec, before: PodSpec): FieldError[] {
  const kept = (before.tolerations ?? []).every((old) =>
    (after.tolerations ?? []).some((toleration) => {
      const { tolerationSeconds: _old, ...oldRest } = old;
      const { tolerationSeconds: _new, ...rest } = toleration;
      return deepEqual(oldRest, rest);
    }),
  );
  if (kept) return [];
  return [forbiddenValue("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds")];
}

function validateRemovedGates(after: PodSpec, before: PodSpec): FieldError[] {
  const known = new Set((before.schedulingGates ?? []).map(({ name }) => name));
  return (after.schedulingGates ?? []).flatMap(({ name = "" }, index) => {
    if (known.has(name)) return [];
    const why = `only deletion is allowed, but found new scheduling gate '${name}'`;
    return [forbiddenValue(`spec.schedulingGates[${index}].name`, why)];
  });
}

/** The new spec with everything put back that may change: what then differs may not. */
function maskChangeable(after: PodSpec, before: PodSpec): PodSpec {
  const masked = clone(after);
  for (const part of ["containers", "initContainers"] as const) {
    for (const [index, container] of (masked[part] ?? []).entries()) {
      container.image = before[part]![index]!.image;
    }
  }
  for (const field of ["activeDeadlineSeconds", "schedulingGates", "tolerations"] as const)
    putBack(masked, before, field);
  const grace = before.terminationGracePeriodSeconds;
  if (grace !== undefined && grace < 0 && masked.terminationGracePeriodSeconds === 1) {
    masked.terminationGracePeriodSeconds = grace;
  }
  return masked;
}

function putBack<K extends keyof PodSpec>(masked: PodSpec, before: PodSpec, field: K): void {
  if (before[field] === undefined) delete masked[field];
  else masked[field] = before[field];
}

const requiredTerms = "requiredDuringSchedulingIgnoredDuringExecution";

/** While a pod has scheduling gates its placement may be narrowed. */
function maskPlacement(masked: PodSpec, before: PodSpec): FieldError[] {
  const errors: FieldError[] = [];
  if (!deepEqual(masked.nodeSelector, before.nodeSelector)) {
    const lost = Object.entries(before.nodeSelector ?? {}).some(([key, value]) => masked.nodeSelector?.[key] !== value);
    if (lost) {
      const why = "only additions to spec.nodeSelector are allowed (no mutations or deletions)";
      errors.push(invalidValue("spec.nodeSelector", masked.nodeSelector, why));
    }
    putBack(masked, before, "nodeSelector");
  }
  const after = masked.affinity?.nodeAffinity;
  const earlier = before.affinity?.nodeAffinity;
  if (deepEqual(after, earlier)) return errors;
  errors.push(...validateNarrowed(after, earlier));
  const { nodeAffinity: _replaced, ...rest } = masked.affinity ?? {};
  const affinity = earlier ? { ...rest, nodeAffinity: earlier } : rest;
  if (Object.keys(affinity).length === 0 && !before.affinity) delete masked.affinity;
  else masked.affinity = affinity;
  return errors;
}

function validateNarrowed(after: NodeAffinity | undefined, before: NodeAffinity | undefined): FieldError[] {
  const old = before?.[requiredTerms]?.nodeSelectorTerms;
  if (!old) return [];
  const path = `spec.affinity.nodeAffinity.${requiredTerms}.nodeSelectorTerms`;
  const terms = after?.[requiredTerms]?.nodeSelectorTerms ?? [];
  if (old.length > 0 && old.length !== terms.length) {
    const why = "no additions/deletions to non-empty NodeSelectorTerms list are allowed";
    return [invalidValue(path, terms.length === 0 ? undefined : terms, why)];
  }
  return old.flatMap((term, index) => {
    const now = terms[index]!;
    const wasEmpty = !term.matchExpressions?.length && !term.matchFields?.length;
    const grown = (["matchExpressions", "matchFields"] as const).every((part) =>
      deepEqual((now[part] ?? []).slice(0, term[part]?.length ?? 0), term[part] ?? []),
    );
    const isEmpty = !now.matchExpressions?.length && !now.matchFields?.length;
    if (grown && (!wasEmpty || isEmpty)) return [];
    return [invalidValue(`${path}[${index}]`, now, "only additions are allowed (no mutations or deletions)")];
  });
}

/** A write to the ephemeral containers: they may be added, never changed or taken away. */
export function validateEphemeralUpdate(next: Pod, previous: Pod): FieldError[] {
  if (previous.metadata.annotations?.[mirrorAnnotation] !== undefined) {
    return [forbiddenValue("[]", "static pods do not support ephemeral containers")];
  }
  const errors = validatePod(next);
  const field = "spec.ephemeralContainers";
  for (const old of previous.spec?.ephemeralContainers ?? []) {
    const now = next.spec?.ephemeralContainers?.find(({ name }) => name === old.name);
    if (!now)
      errors.push(forbiddenValue(field, `existing ephemeral containers "${old.name ?? ""}" may not be removed\n`));
    else if (!deepEqual(now, old)) {
      errors.push(forbiddenValue(field, `existing ephemeral containers "${old.name}" may not be changed\n`));
    }
  }
  return errors;
}
