/** The rules of Deployments and ReplicaSets for a selector and a pod template. */
import type { PodTemplateSpec } from "../core/index.ts";
import { podWarnings, validatePodTemplate } from "../core/pod/index.ts";
import {
  dnsLabelErrors,
  type FieldError,
  forbiddenValue,
  invalidValue,
  type LabelSelector,
  matches,
  notSupported,
  type ObjectMeta,
  requiredValue,
  requirementsOf,
  validateLabelSelector,
} from "../meta/index.ts";

export function validateSelector(selector: LabelSelector | undefined): FieldError[] {
  if (!selector) return [requiredValue("spec.selector")];
  const errors = validateLabelSelector(selector, "spec.selector");
  const count = Object.keys(selector.matchLabels ?? {}).length + (selector.matchExpressions ?? []).length;
  if (count === 0) errors.push(invalidValue("spec.selector", selector, "empty selector is invalid for deployment"));
  return errors;
}

/** The template must match its owner's selector, and its pods must restart always. */
export function validateTemplate(
  template: PodTemplateSpec | undefined,
  selector: LabelSelector | undefined,
): FieldError[] {
  const path = "spec.template";
  if (selector && validateLabelSelector(selector, "").length > 0) {
    return [invalidValue("spec.selector", selector, "invalid label selector")];
  }
  const made = template ?? { spec: { containers: [] } };
  const errors: FieldError[] = [];
  const labels = made.metadata?.labels;
  // No selector finds nothing, an empty one finds everything.
  if (!selector || !matches(requirementsOf(selector), labels)) {
    errors.push(invalidValue(`${path}.metadata.labels`, labels, "`selector` does not match template `labels`"));
  }
  errors.push(...validatePodTemplate(made, path));
  const { restartPolicy = "Always", activeDeadlineSeconds } = made.spec ?? {};
  if (restartPolicy !== "Always") {
    errors.push(notSupported(`${path}.spec.restartPolicy`, restartPolicy, ["Always"]));
  }
  if (activeDeadlineSeconds === undefined) return errors;
  const why = "activeDeadlineSeconds in ReplicaSet is not Supported";
  return [...errors, forbiddenValue(`${path}.spec.activeDeadlineSeconds`, why)];
}

/** Warnings about a new object's name and about a template that is new; what does not raise the generation has none. */
export function templateWarnings(object: Templated, previous: Templated | undefined): string[] {
  const { metadata, spec } = object;
  const isNew = !previous || metadata.generation !== previous.metadata.generation;
  return [
    ...(previous ? [] : hostnameWarnings(metadata.name)),
    ...(isNew && spec?.template ? podWarnings(spec.template, "spec.template") : []),
  ];
}

interface Templated {
  metadata: ObjectMeta;
  spec?: { template?: PodTemplateSpec | undefined } | undefined;
}

/** A warning for names that pods' host names are made from. */
function hostnameWarnings(name: string | undefined): string[] {
  const wrong = dnsLabelErrors(name ?? "");
  if (wrong.length === 0) return [];
  const why = "this is used in Pod names and hostnames, which can result in surprising behavior";
  return [`metadata.name: ${why}; a DNS label is recommended: [${wrong.join(" ")}]`];
}

/** Counts that may not exceed another count; `[field, other, message]`. */
export function checkCounts(
  status: Readonly<Record<string, unknown>>,
  limits: readonly (readonly [field: string, most: string, why: string])[],
): FieldError[] {
  const countOf = (field: string): number => Number(status[field] ?? 0);
  return limits
    .filter(([field, most]) => countOf(field) > countOf(most))
    .map(([field, , why]) => invalidValue(`status.${field}`, countOf(field), why));
}
