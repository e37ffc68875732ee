/** A Job's spec, as upstream's validateJobSpec and ValidateJobSpec check it. */
import { validatePodTemplate } from "../../core/pod/index.ts";
import {
  checkNonNegative,
  checkOneOf,
  dnsLabelErrors,
  dnsSubdomainErrors,
  type FieldError,
  httpPathErrors,
  invalidAll,
  invalidValue,
  matches,
  notSupported,
  requiredValue,
  requirementsOf,
  tooLong,
  validateLabelSelector,
} from "../../meta/index.ts";
import { nameLabel, oldNameLabel, oldUidLabel, uidLabel } from "./facts.ts";
import type { Job, JobSpec } from "./schema.ts";
import { validatePodFailurePolicy, validateSuccessPolicy } from "./validate-policies.ts";

const mostIndexes = 100_000;
const manyIndexes = 10_000;
const longestManager = 63;

export const isIndexed = ({ completionMode }: JobSpec): boolean => completionMode === "Indexed";

/** A whole Job, new or changed. */
export function validateJob({ metadata, spec = {} as JobSpec }: Job): FieldError[] {
  const errors = [...validateGeneratedSelector({ metadata, spec }), ...validateJobSpec(spec, "spec")];
  errors.push(...validateSelector(spec));
  const { completions = 0 } = spec;
  if (!isIndexed(spec) || completions <= 0) return errors;
  // The last pod's host name is the longest.
  const hostname = `${metadata.name}-${completions - 1}`;
  if (dnsLabelErrors(hostname).length === 0) return errors;
  const why = `will not able to create pod with invalid DNS label: ${hostname}`;
  return [...errors, invalidValue("metadata.name", metadata.name, why)];
}

function validateSelector({ selector, template }: JobSpec): FieldError[] {
  const errors = selector ? validateLabelSelector(selector, "spec.selector") : [requiredValue("spec.selector")];
  const labels = template?.metadata?.labels;
  // No selector finds nothing; a wrong one has been reported.
  if (selector && (errors.length > 0 || matches(requirementsOf(selector), labels))) return errors;
  const why = "`selector` does not match template `labels`";
  return [...errors, invalidValue("spec.template.metadata.labels", labels, why)];
}

/** A generated selector must match the generated labels, and no other pods. */
function validateGeneratedSelector({ metadata, spec }: Job & { spec: JobSpec }): FieldError[] {
  if (spec.manualSelector || !spec.selector) return [];
  const { uid = "", name = "" } = metadata;
  const errors: FieldError[] = uid === "" ? [requiredValue("metadata.uid")] : [];
  const labels = spec.template?.metadata?.labels ?? {};
  const expected = { [oldUidLabel]: uid, [oldNameLabel]: name, [uidLabel]: uid, [nameLabel]: name };
  for (const [key, value] of Object.entries(expected)) {
    const field = `spec.template.metadata.labels[${key}]`;
    if (labels[key] === undefined) errors.push(requiredValue(field, `must be '${value}'`));
    else if (labels[key] !== value) errors.push(invalidValue(field, labels, `must be '${value}'`));
  }
  if (validateLabelSelector(spec.selector, "").length > 0) return errors;
  if (matches(requirementsOf(spec.selector), expected)) return errors;
  return [...errors, invalidValue("spec.selector", spec.selector, "`selector` not auto-generated")];
}

const counts = [
  "parallelism",
  "completions",
  "activeDeadlineSeconds",
  "backoffLimit",
  "ttlSecondsAfterFinished",
  "backoffLimitPerIndex",
  "maxFailedIndexes",
] as const;

/** What also holds for the template of a CronJob: all but the selector. */
export function validateJobSpec(spec: JobSpec, path: string): FieldError[] {
  const errors = counts.flatMap((field) => checkNonNegative(`${path}.${field}`, spec[field]));
  if (spec.maxFailedIndexes !== undefined && spec.backoffLimitPerIndex === undefined) {
    errors.push(requiredValue(`${path}.backoffLimitPerIndex`, "when maxFailedIndexes is specified"));
  }
  if (spec.managedBy !== undefined) errors.push(...validateManager(spec.managedBy, `${path}.managedBy`));
  errors.push(...checkOneOf(`${path}.completionMode`, spec.completionMode, ["NonIndexed", "Indexed"]));
  if (isIndexed(spec)) errors.push(...validateIndexed(spec, path));
  if (spec.completionMode === undefined || spec.completionMode === "NonIndexed") {
    for (const field of ["backoffLimitPerIndex", "maxFailedIndexes"] as const) {
      if (spec[field] === undefined) continue;
      errors.push(invalidValue(`${path}.${field}`, spec[field], "requires indexed completion mode"));
    }
  }
  if (spec.podFailurePolicy) errors.push(...validatePodFailurePolicy(spec, `${path}.podFailurePolicy`));
  if (spec.successPolicy) {
    const field = `${path}.successPolicy`;
    if (isIndexed(spec)) errors.push(...validateSuccessPolicy(spec, field));
    else errors.push(invalidValue(field, spec.successPolicy, "requires indexed completion mode"));
  }
  const replacement = spec.podFailurePolicy ? ["Failed"] : ["Failed", "TerminatingOrFailed"];
  errors.push(...checkOneOf(`${path}.podReplacementPolicy`, spec.podReplacementPolicy, replacement));
  errors.push(...validatePodTemplate(spec.template ?? {}, `${path}.template`));
  return [...errors, ...validateRestartPolicy(spec, `${path}.template.spec.restartPolicy`)];
}

function validateManager(manager: string, field: string): FieldError[] {
  const errors: FieldError[] = manager.length > longestManager ? [tooLong(field, longestManager)] : [];
  if (manager === "") return [requiredValue(field), ...errors];
  const slash = manager.indexOf("/");
  const [host, rest] = [manager.slice(0, slash), manager.slice(slash + 1)];
  if (slash <= 0 || rest === "") {
    return [invalidValue(field, manager, 'must be a domain-prefixed path (such as "acme.io/foo")'), ...errors];
  }
  errors.push(...invalidAll(field, host, dnsSubdomainErrors(host)));
  return [...errors, ...invalidAll(field, rest, httpPathErrors(rest))];
}

function validateIndexed(spec: JobSpec, path: string): FieldError[] {
  const { completions, parallelism = 0, maxFailedIndexes } = spec;
  const errors: FieldError[] = [];
  const tooHigh = (field: "parallelism" | "maxFailedIndexes", most: number, when: string): void => {
    const value = spec[field];
    if (value === undefined || value <= most) return;
    errors.push(invalidValue(`${path}.${field}`, value, `must be less than or equal to ${most}${when}`));
  };
  if (completions === undefined) {
    errors.push(requiredValue(`${path}.completions`, "when completion mode is Indexed"));
  }
  if (parallelism > mostIndexes) tooHigh("parallelism", mostIndexes, " when completion mode is Indexed");
  if (completions !== undefined && maxFailedIndexes !== undefined && maxFailedIndexes > completions) {
    const why = "must be less than or equal to completions";
    errors.push(invalidValue(`${path}.maxFailedIndexes`, maxFailedIndexes, why));
  }
  tooHigh("maxFailedIndexes", mostIndexes, "");
  if ((completions ?? 0) <= mostIndexes || spec.backoffLimitPerIndex === undefined) return errors;
  if (maxFailedIndexes === undefined) {
    const why = `must be specified when completions is above ${mostIndexes}`;
    errors.push(requiredValue(`${path}.maxFailedIndexes`, why));
  }
  const when = ` when completions are above ${mostIndexes} and used with backoff limit per index`;
  tooHigh("parallelism", manyIndexes, when);
  tooHigh("maxFailedIndexes", manyIndexes, when);
  return errors;
}

function validateRestartPolicy({ template, podFailurePolicy }: JobSpec, field: string): FieldError[] {
  const policy = template?.spec?.restartPolicy ?? "";
  if (policy === "" || policy === "Always") return [requiredValue(field, 'valid values: "OnFailure", "Never"')];
  if (policy !== "OnFailure" && policy !== "Never") return [notSupported(field, policy, ["OnFailure", "Never"])];
  if (!podFailurePolicy || policy === "Never") return [];
  return [invalidValue(field, policy, 'only "Never" is supported when podFailurePolicy is specified')];
}
