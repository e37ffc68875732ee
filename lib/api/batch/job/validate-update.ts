import { clone, deepEqual } from "#base";
import type { PodSpec, PodTemplateSpec } from "../../core/index.ts";
import { type FieldError, invalidValue, validateImmutable } from "../../meta/index.ts";
import type { Job, JobSpec } from "./schema.ts";
import { isIndexed } from "./validate-spec.ts";
import { isTrue } from "./validate-status.ts";

/** What a Job's spec may still become: upstream's ValidateJobSpecUpdate. */
export function validateJobUpdate(next: Job, previous: Job): FieldError[] {
  const spec = next.spec ?? ({} as JobSpec);
  const before = previous.spec ?? ({} as JobSpec);
  const errors = validateCompletions(spec, before);
  errors.push(...validateImmutable(spec.selector, before.selector, "spec.selector"));
  errors.push(...validateTemplate(spec, before, isAtRest(previous)));
  for (const field of [
    "completionMode",
    "podFailurePolicy",
    "backoffLimitPerIndex",
    "managedBy",
    "successPolicy",
  ] as const) {
    errors.push(...validateImmutable(spec[field], before[field], `spec.${field}`));
  }
  return errors;
}

function validateCompletions(spec: JobSpec, before: JobSpec): FieldError[] {
  const field = "spec.completions";
  if (!isIndexed(spec)) return validateImmutable(spec.completions, before.completions, field);
  if (spec.completions === undefined || spec.completions === before.completions) return [];
  if (spec.completions === spec.parallelism) return [];
  return [invalidValue(field, spec.completions, "can only be modified in tandem with spec.parallelism")];
}

/** Suspended, and the controller has taken the last pod away. */
const isAtRest = ({ spec, status }: Job): boolean =>
  spec?.suspend === true && isTrue(status, "Suspended") && (status?.active ?? 0) === 0;

function validateTemplate(spec: JobSpec, before: JobSpec, atRest: boolean): FieldError[] {
  const path = "spec.template";
  const template = spec.template ?? {};
  if (!atRest) return validateImmutable(template, before.template ?? {}, path);
  const old = withDirectives(before.template ?? {}, template);
  takeResources(old.spec, template.spec);
  return deepEqual(old.spec ?? {}, template.spec ?? {})
    ? []
    : [invalidValue(`${path}.spec`, template.spec, "field is immutable")];
}

/** The old template with the scheduling fields of the new one. */
function withDirectives(before: PodTemplateSpec, next: PodTemplateSpec): PodTemplateSpec {
  const old = clone(before);
  const spec = next.spec ?? { containers: [] };
  old.spec ??= { containers: [] };
  const affinity = { ...old.spec.affinity };
  assign(affinity, "nodeAffinity", spec.affinity?.nodeAffinity);
  const isEmpty = Object.keys(affinity).length === 0;
  assign(old.spec, "affinity", isEmpty && !spec.affinity ? undefined : affinity);
  for (const field of ["nodeSelector", "tolerations", "schedulingGates"] as const) assign(old.spec, field, spec[field]);
  return old;
}

function assign<T extends object, K extends keyof T>(object: T, key: K, value: T[K] | undefined): void {
  if (value === undefined) delete object[key];
  else object[key] = value;
}

function takeResources(old: PodSpec | undefined, next: PodSpec | undefined): void {
  for (const part of ["containers", "initContainers"] as const) {
    const containers = next?.[part] ?? [];
    if (containers.length !== (old?.[part] ?? []).length) continue;
    for (const [index, { name, resources }] of containers.entries()) {
      const container = old?.[part]?.[index];
      if (container?.name === name) assign(container, "resources", resources);
    }
  }
}
