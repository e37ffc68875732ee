/** The policies of a Job: which failures count, and when it has succeeded early. */
import {
  checkNonNegative,
  checkUnique,
  type FieldError,
  invalidValue,
  labelKeyErrors,
  notSupported,
  requiredValue,
  tooLong,
  tooMany,
} from "../../meta/index.ts";
import { countIndexes, parseIndexes } from "./indexes.ts";
import type {
  JobSpec,
  PodFailurePolicyOnExitCodesRequirement,
  PodFailurePolicyOnPodConditionsPattern,
  PodFailurePolicyRule,
  SuccessPolicyRule,
} from "./schema.ts";

const mostRules = 20;
const mostExitCodes = 255;
const mostPatterns = 20;
const longestIndexes = 64 * 1024;

/** Go's `%q` of a list. */
const quoted = (values: readonly string[]): string => `[${values.map((value) => `"${value}"`).join(" ")}]`;

function requireKnown(field: string, value: string | undefined, known: readonly string[]): FieldError[] {
  if (!value) return [requiredValue(field, `valid values: ${quoted(known)}`)];
  return known.includes(value) ? [] : [notSupported(field, value, known)];
}

/** An error that does not show the value. */
export const invalidAsWhole = (field: string, detail: string): FieldError => ({
  reason: "FieldValueInvalid",
  field,
  message: `Invalid value: ${detail}`,
});

export function validatePodFailurePolicy(spec: JobSpec, path: string): FieldError[] {
  const rules = spec.podFailurePolicy?.rules ?? [];
  const errors: FieldError[] = [];
  if (rules.length > mostRules) errors.push(tooMany(`${path}.rules`, rules.length, mostRules));
  const template = spec.template?.spec;
  const names = new Set([...(template?.containers ?? []), ...(template?.initContainers ?? [])].map(({ name }) => name));
  const perIndex = spec.backoffLimitPerIndex !== undefined;
  for (const [index, rule] of rules.entries()) {
    errors.push(...validateFailureRule(rule, `${path}.rules[${index}]`, names, perIndex));
  }
  return errors;
}

const actions = ["Count", "FailIndex", "FailJob", "Ignore"];

function validateFailureRule(
  { action, onExitCodes, onPodConditions = [] }: PodFailurePolicyRule,
  path: string,
  names: ReadonlySet<string>,
  perIndex: boolean,
): FieldError[] {
  const errors = requireKnown(`${path}.action`, action, actions);
  if (action === "FailIndex" && !perIndex) {
    errors.push(invalidValue(`${path}.action`, action, "requires the backoffLimitPerIndex to be set"));
  }
  if (onExitCodes) errors.push(...validateExitCodes(onExitCodes, `${path}.onExitCodes`, names));
  errors.push(...validatePatterns(onPodConditions, `${path}.onPodConditions`));
  if (onExitCodes && onPodConditions.length > 0) {
    errors.push(invalidAsWhole(path, "specifying both OnExitCodes and OnPodConditions is not supported"));
  }
  if (!onExitCodes && onPodConditions.length === 0) {
    errors.push(invalidAsWhole(path, "specifying one of OnExitCodes and OnPodConditions is required"));
  }
  return errors;
}

function validatePatterns(patterns: readonly PodFailurePolicyOnPodConditionsPattern[], path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (patterns.length > mostPatterns) errors.push(tooMany(path, patterns.length, mostPatterns));
  for (const [index, { type = "", status }] of patterns.entries()) {
    for (const message of labelKeyErrors(type)) errors.push(invalidValue(`${path}[${index}].type`, type, message));
    errors.push(...requireKnown(`${path}[${index}].status`, status, ["False", "True", "Unknown"]));
  }
  return errors;
}

function validateExitCodes(
  { operator, containerName, values = [] }: PodFailurePolicyOnExitCodesRequirement,
  path: string,
  names: ReadonlySet<string>,
): FieldError[] {
  const errors = requireKnown(`${path}.operator`, operator, ["In", "NotIn"]);
  if (containerName !== undefined && !names.has(containerName)) {
    const why = "must be one of the container or initContainer names in the pod template";
    errors.push(invalidValue(`${path}.containerName`, containerName, why));
  }
  const field = `${path}.values`;
  if (values.length === 0) errors.push(invalidValue(field, values, "at least one value is required"));
  if (values.length > mostExitCodes) errors.push(tooMany(field, values.length, mostExitCodes));
  const seen = new Set<string>();
  for (const [index, value] of values.entries()) {
    const at = `${field}[${index}]`;
    if (operator === "In" && value === 0) errors.push(invalidValue(at, value, "must not be 0 for the In operator"));
    for (const error of checkUnique(at, String(value), seen)) {
      errors.push({ ...error, message: `Duplicate value: ${value}` });
    }
  }
  if (values.some((value, index) => index > 0 && values[index - 1]! > value)) {
    errors.push(invalidValue(field, values, "must be ordered"));
  }
  return errors;
}

/** For an Indexed job with completions. */
export function validateSuccessPolicy(spec: JobSpec, path: string): FieldError[] {
  const rules = spec.successPolicy?.rules ?? [];
  const errors: FieldError[] = [];
  if (rules.length === 0) {
    errors.push(
      requiredValue(`${path}.rules`, "at least one rules must be specified when the successPolicy is specified"),
    );
  }
  if (rules.length > mostRules) errors.push(tooMany(`${path}.rules`, rules.length, mostRules));
  for (const [index, rule] of rules.entries()) {
    errors.push(...validateSuccessRule(rule, `${path}.rules[${index}]`, spec.completions ?? 0));
  }
  return errors;
}

function validateSuccessRule(
  { succeededIndexes, succeededCount }: SuccessPolicyRule,
  path: string,
  completions: number,
): FieldError[] {
  const errors: FieldError[] = [];
  if (succeededCount === undefined && succeededIndexes === undefined) {
    errors.push(requiredValue(path, "at least one of succeededCount or succeededIndexes must be specified"));
  }
  let named = 0;
  if (succeededIndexes !== undefined) {
    const field = `${path}.succeededIndexes`;
    if (succeededIndexes.length > longestIndexes) errors.push(tooLong(field, longestIndexes));
    try {
      named = countIndexes(parseIndexes(succeededIndexes, completions));
    } catch (error) {
      const why = `error parsing succeededIndexes: ${(error as Error).message}`;
      errors.push(invalidValue(field, succeededIndexes, why));
    }
  }
  if (succeededCount === undefined) return errors;
  const field = `${path}.succeededCount`;
  errors.push(...checkNonNegative(field, succeededCount));
  const tooHigh = (most: number, what: string): void => {
    if (succeededCount <= most) return;
    errors.push(invalidValue(field, succeededCount, `must be less than or equal to ${most} (the number of ${what})`));
  };
  tooHigh(completions, "specified completions");
  if (succeededIndexes !== undefined) tooHigh(named, "indexes in the specified succeededIndexes field");
  return errors;
}
