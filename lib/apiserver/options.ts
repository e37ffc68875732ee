import { type FieldError, forbiddenValue, invalidValue, notSupported, validateFieldManager } from "#api/meta";
import { invalid } from "#base";
import type { FieldValidation } from "#wire";
import { booleanOption, integerOption, textOption } from "./query.ts";

export interface WriteOptions {
  dryRun: boolean;
  fieldValidation: FieldValidation;
  fieldManager: string;
}

const validations = ["", "Ignore", "Strict", "Warn"];

/** An empty value is one too: upstream refuses `?dryRun=`, which a script sends whose variable is empty. */
const dryRunErrors = (values: readonly string[]): FieldError[] =>
  values.every((value) => value === "All") ? [] : [notSupported("dryRun", values, ["All"])];

/** Throws ApiError 422 naming what is wrong with the options. */
function refuse(kind: string, errors: FieldError[]): void {
  if (errors.length > 0) throw invalid({ group: "meta.k8s.io", kind }, "", errors);
}

/**
 * Reads the query of a write: dryRun, fieldValidation, fieldManager; follows ValidateCreateOptions and its siblings.
 * Throws ApiError 422 naming what is wrong.
 */
export function writeOptions(
  query: URLSearchParams,
  kind: "CreateOptions" | "UpdateOptions" | "PatchOptions",
): WriteOptions {
  const errors: FieldError[] = [];
  if (kind === "PatchOptions" && booleanOption(query, "force") !== undefined) {
    errors.push(forbiddenValue("force", "may not be specified for non-apply patch"));
  }
  const fieldManager = textOption(query, "fieldManager") ?? "";
  errors.push(...validateFieldManager(fieldManager, "fieldManager"));
  const dryRun = query.getAll("dryRun");
  errors.push(...dryRunErrors(dryRun));
  const fieldValidation = textOption(query, "fieldValidation") ?? "";
  if (!validations.includes(fieldValidation)) {
    errors.push(notSupported("fieldValidation", fieldValidation, validations));
  }
  refuse(kind, errors);
  return {
    dryRun: dryRun.length > 0,
    fieldValidation: (fieldValidation || "Warn") as FieldValidation,
    fieldManager,
  };
}

export type Propagation = "Background" | "Foreground" | "Orphan";

/** DeleteOptions, checked. */
export interface RemoveOptions {
  /** Seconds. */
  gracePeriodSeconds?: number | undefined;
  propagation?: Propagation | undefined;
  uid?: string | undefined;
  revision?: string | undefined;
  /** Asks for what cannot be read to go as well; upstream refuses it for what can. */
  unsafe?: boolean | undefined;
}

/** The members of meta/v1 DeleteOptions that are read. */
export interface DeleteBody {
  gracePeriodSeconds?: number | bigint | undefined;
  propagationPolicy?: string | undefined;
  orphanDependents?: boolean | undefined;
  dryRun?: string[] | undefined;
  ignoreStoreReadErrorWithClusterBreakingPotential?: boolean | undefined;
  preconditions?: { uid?: string | undefined; resourceVersion?: string | undefined } | undefined;
}

/** DeleteOptions from the query, which is read where the request has no body. Throws ApiError 400 for what does not parse. */
function fromQuery(query: URLSearchParams): DeleteBody {
  return {
    gracePeriodSeconds: integerOption(query, "gracePeriodSeconds"),
    orphanDependents: booleanOption(query, "orphanDependents"),
    propagationPolicy: textOption(query, "propagationPolicy"),
    dryRun: query.getAll("dryRun"),
    ignoreStoreReadErrorWithClusterBreakingPotential: booleanOption(query, unsafe),
  };
}

const unsafe = "ignoreStoreReadErrorWithClusterBreakingPotential";
const policies = ["Foreground", "Background", "Orphan"];

/**
 * Reads DeleteOptions from the body, or from the query where there is none; follows ValidateDeleteOptions. Throws
 * ApiError 422 naming what is wrong.
 */
export function removeOptions(
  body: DeleteBody | undefined,
  query: URLSearchParams,
): RemoveOptions & { dryRun: boolean; cascades: boolean } {
  const given = body ?? fromQuery(query);
  const { gracePeriodSeconds: grace, propagationPolicy: policy, orphanDependents: orphans, dryRun = [] } = given;
  refuse("DeleteOptions", removeErrors(given));
  const legacy = orphans === undefined ? undefined : orphans ? "Orphan" : "Background";
  return {
    // A negative grace is the shortest that is none at once, as upstream has it.
    gracePeriodSeconds: grace === undefined ? undefined : Number(grace) < 0 ? 1 : Number(grace),
    propagation: (policy ?? legacy) as Propagation | undefined,
    uid: given.preconditions?.uid,
    revision: given.preconditions?.resourceVersion,
    unsafe: given[unsafe],
    dryRun: dryRun.length > 0,
    cascades: policy === undefined && legacy === "Background",
  };
}

function removeErrors(given: DeleteBody): FieldError[] {
  const errors: FieldError[] = [];
  const { gracePeriodSeconds, propagationPolicy: policy, orphanDependents, dryRun = [], preconditions } = given;
  if (policy !== undefined && orphanDependents !== undefined) {
    const why = "orphanDependents and deletionPropagation cannot be both set";
    errors.push(invalidValue("propagationPolicy", policy, why));
  }
  if (policy !== undefined && !policies.includes(policy)) {
    errors.push(notSupported("propagationPolicy", policy, [...policies, "nil"]));
  }
  errors.push(...dryRunErrors(dryRun));
  if (!given[unsafe]) return errors;
  const others = { propagationPolicy: policy, orphanDependents, gracePeriodSeconds, preconditions };
  for (const [name, value] of Object.entries(others)) {
    if (value !== undefined) errors.push(invalidValue(unsafe, true, `cannot be set together with .${name}`));
  }
  return errors;
}
