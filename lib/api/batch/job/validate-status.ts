/**
 * The rules of a Job's status. Most check only what a write changes: a status that a change of the spec has made
 * invalid must still be writable, so that the controller can correct it.
 */
import { deepEqual } from "#base";
import { checkNonNegative, checkUnique, type FieldError, invalidValue, requiredValue } from "../../meta/index.ts";
import { isJobFinished } from "./finished.ts";
import { firstCommonIndex, parseIndexes } from "./indexes.ts";
import type { Job, JobSpec, JobStatus, UncountedTerminatedPods } from "./schema.ts";
import { invalidAsWhole } from "./validate-policies.ts";
import { isIndexed } from "./validate-spec.ts";

const at = (field: string): string => `status.${field}`;
const wrong = (why: string): FieldError => invalidAsWhole(at("conditions"), why);

export const isTrue = (status: JobStatus | undefined, type: string): boolean =>
  status?.conditions?.some((condition) => condition.type === type && condition.status === "True") ?? false;

interface Change {
  spec: JobSpec;
  status: JobStatus;
  before: JobStatus;
  /** Whether a write changes one of these fields. */
  changes(...fields: (keyof JobStatus)[]): boolean;
  /** Whether a write changes whether one of these conditions is true. */
  turns(...types: string[]): boolean;
  /** Whether a write ends the job, or takes its end back. */
  ends: boolean;
}

export function validateStatus(next: Job, previous: Job): FieldError[] {
  const { spec = {} as JobSpec, status = {} } = next;
  const before = previous.status ?? {};
  const change: Change = {
    spec,
    status,
    before,
    changes: (...fields) => fields.some((field) => !deepEqual(status[field] ?? 0, before[field] ?? 0)),
    turns: (...types) => types.some((type) => isTrue(status, type) !== isTrue(before, type)),
    ends: isJobFinished({ status }) !== isJobFinished({ status: before }),
  };
  return [
    ...validateCounts(status),
    ...validateConditions(change),
    ...validateTimes(change),
    ...validateEnd(change),
    ...validateIndexTexts(change),
    ...validateSteps(change),
  ];
}

function validateCounts(status: JobStatus): FieldError[] {
  const fields = ["active", "succeeded", "failed", "ready", "terminating"] as const;
  const errors = fields.flatMap((field) => checkNonNegative(at(field), status[field]));
  const seen = new Set<string>();
  for (const list of ["succeeded", "failed"] as const) {
    for (const [index, uid] of (status.uncountedTerminatedPods?.[list] ?? []).entries()) {
      const field = at(`uncountedTerminatedPods.${list}[${index}]`);
      if (uid === "") errors.push(invalidValue(field, uid, "must not be empty"));
      else errors.push(...checkUnique(field, uid, seen));
    }
  }
  return errors;
}

function validateConditions({ spec, status, turns, changes }: Change): FieldError[] {
  const errors: FieldError[] = [];
  const complete = isTrue(status, "Complete");
  const failed = isTrue(status, "Failed");
  const failing = isTrue(status, "FailureTarget");
  const succeeding = isTrue(status, "SuccessCriteriaMet");
  if (turns("Complete", "Failed") && complete && failed) {
    errors.push(wrong("cannot set Complete=True and Failed=true conditions"));
  }
  if (turns("Complete", "FailureTarget") && complete && failing) {
    errors.push(wrong("cannot set Complete=True and FailureTarget=true conditions"));
  }
  if ((turns("Failed") || changes("failedIndexes")) && failed && !failing) {
    errors.push(wrong("cannot set Failed=True condition without the FailureTarget=true condition"));
  }
  if (turns("Complete", "SuccessCriteriaMet") && complete && !succeeding) {
    errors.push(wrong("cannot set Complete=True condition without the SuccessCriteriaMet=true condition"));
  }
  if (succeeding && failed) errors.push(wrong("cannot set SuccessCriteriaMet=True and Failed=true conditions"));
  if (succeeding && failing) errors.push(wrong("cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"));
  if (spec.successPolicy && !succeeding && complete) {
    errors.push(wrong("cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True"));
  }
  return errors;
}

function validateTimes({ spec, status, before, turns, changes, ends }: Change): FieldError[] {
  const errors: FieldError[] = [];
  const { startTime, completionTime } = status;
  const complete = isTrue(status, "Complete");
  if (turns("Complete") || changes("completionTime")) {
    const field = at("completionTime");
    if (completionTime !== undefined && !complete) {
      const why = "cannot set completionTime when there is no Complete=True condition";
      errors.push(invalidValue(field, completionTime, why));
    }
    if (completionTime === undefined && complete) {
      errors.push(requiredValue(field, "completionTime is required for Complete jobs"));
    }
  }
  if (changes("startTime", "completionTime") && startTime && completionTime && completionTime < startTime) {
    errors.push(invalidValue(at("completionTime"), completionTime, "must be equal to or after `startTime`"));
  }
  if (completionTime !== undefined && before.completionTime !== undefined && changes("completionTime")) {
    errors.push(invalidValue(at("completionTime"), completionTime, "field is immutable"));
  }
  const neverRan = spec.suspend === true && spec.completions === 0;
  if ((ends || changes("startTime")) && !neverRan && startTime === undefined && isJobFinished({ status })) {
    errors.push(requiredValue(at("startTime"), "startTime is required for finished job"));
  }
  const resumed =
    isTrue(before, "Suspended") &&
    status.conditions?.some((condition) => condition.type === "Suspended" && condition.status === "False");
  if (changes("startTime") && !resumed && before.startTime !== undefined && !spec.suspend) {
    errors.push(invalidValue(at("startTime"), startTime, "field is immutable for unsuspended job once set"));
  }
  return errors;
}

const total = ({ succeeded = [], failed = [] }: UncountedTerminatedPods): number => succeeded.length + failed.length;

function validateEnd({ status, changes, ends }: Change): FieldError[] {
  const errors: FieldError[] = [];
  const { active = 0, terminating = 0, ready = 0, uncountedTerminatedPods: uncounted = {} } = status;
  const finished = isJobFinished({ status });
  if ((ends || changes("active")) && active > 0 && finished) {
    errors.push(invalidValue(at("active"), active, "active>0 is invalid for finished job"));
  }
  if ((ends || changes("uncountedTerminatedPods")) && finished && total(uncounted) > 0) {
    errors.push(invalidValue(at("uncountedTerminatedPods"), uncounted, "must be empty for finished job"));
  }
  if ((ends || changes("terminating")) && terminating > 0 && finished) {
    errors.push(invalidValue(at("terminating"), terminating, "terminating>0 is invalid for finished job"));
  }
  if (changes("ready", "active") && ready > active) {
    errors.push(invalidValue(at("ready"), ready, "cannot set more ready pods than active"));
  }
  return errors;
}

function validateIndexTexts({ spec, status, changes }: Change): FieldError[] {
  const errors: FieldError[] = [];
  const { completedIndexes = "", failedIndexes } = status;
  const { completions, backoffLimitPerIndex } = spec;
  const parse = (field: "completedIndexes" | "failedIndexes", text: string): void => {
    if (completions === undefined) return;
    try {
      parseIndexes(text, completions);
    } catch (error) {
      errors.push(invalidValue(at(field), text, `error parsing ${field}: ${(error as Error).message}`));
    }
  };
  if (changes("completedIndexes")) {
    parse("completedIndexes", completedIndexes);
    if (completedIndexes !== "" && !isIndexed(spec)) {
      const why = "cannot set non-empty completedIndexes when non-indexed completion mode";
      errors.push(invalidValue(at("completedIndexes"), completedIndexes, why));
    }
  }
  if (failedIndexes === undefined) return errors;
  if (changes("failedIndexes")) {
    if (backoffLimitPerIndex !== undefined) parse("failedIndexes", failedIndexes);
    else {
      const why = "cannot set non-null failedIndexes when backoffLimitPerIndex is null";
      errors.push(invalidValue(at("failedIndexes"), failedIndexes, why));
    }
  }
  if (!changes("failedIndexes", "completedIndexes") || completions === undefined) return errors;
  const common = firstCommonIndex(completedIndexes, failedIndexes, completions);
  if (common === undefined) return errors;
  const why = `failedIndexes and completedIndexes overlap at index: ${common}`;
  return [...errors, invalidValue(at("failedIndexes"), failedIndexes, why)];
}

/** What may not be taken back. */
function validateSteps({ spec, status, before }: Change): FieldError[] {
  const errors: FieldError[] = [];
  for (const type of ["Failed", "Complete", "FailureTarget"]) {
    if (!isTrue(before, type) || isTrue(status, type)) continue;
    errors.push(wrong(`cannot disable the terminal ${type}=True condition`));
  }
  if ((status.failed ?? 0) < (before.failed ?? 0)) {
    errors.push(invalidValue(at("failed"), status.failed ?? 0, "cannot decrease the failed counter"));
  }
  const shrinks = isIndexed(spec) && spec.completions === spec.parallelism;
  if (!shrinks && (status.succeeded ?? 0) < (before.succeeded ?? 0)) {
    errors.push(invalidValue(at("succeeded"), status.succeeded ?? 0, "cannot decrease the succeeded counter"));
  }
  const succeeding = isTrue(status, "SuccessCriteriaMet");
  if (isTrue(before, "SuccessCriteriaMet") && !succeeding) {
    errors.push(wrong("cannot disable the SuccessCriteriaMet=True condition"));
  }
  if (isTrue(before, "Complete") && !isTrue(before, "SuccessCriteriaMet") && succeeding) {
    errors.push(wrong("cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions"));
  }
  return errors;
}
