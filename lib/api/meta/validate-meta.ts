/** What holds for the metadata of every object, in upstream's order and words. */
import { deepEqual } from "#base";
import { type FieldError, forbiddenValue, invalidValue, notSupported, requiredValue, tooLong } from "./field-error.ts";
import type { NameRule } from "./kind.ts";
import { dnsLabelErrors, labelKeyErrors, labelValueErrors, nameErrors, patternError } from "./names.ts";
import type { Condition, LabelSelector, ManagedFieldsEntry, ObjectMeta, OwnerReference } from "./object-meta.ts";

/** All annotations of an object together, keys and values, in bytes. */
export const maximumAnnotations = 256 * 1024;
const immutable = "field is immutable";
const byteLength = (text: string): number => new TextEncoder().encode(text).length;

/** Metadata on create. The name must be there by then, also where it was generated. */
export function validateObjectMeta(
  kind: { group: string; scope: "Namespaced" | "Cluster"; name?: NameRule },
  metadata: ObjectMeta,
  path = "metadata",
): FieldError[] {
  const rule = kind.name ?? "dns-subdomain";
  const errors: FieldError[] = [];
  const { generateName, name } = metadata;
  if (generateName) {
    for (const message of nameErrors(rule, generateName, true)) {
      errors.push(invalidValue(`${path}.generateName`, generateName, message));
    }
  }
  if (!name) errors.push(requiredValue(`${path}.name`, "name or generateName is required"));
  else for (const message of nameErrors(rule, name)) errors.push(invalidValue(`${path}.name`, name, message));
  errors.push(...validateNamespace(metadata.namespace, kind.scope === "Namespaced", `${path}.namespace`));
  if ((metadata.generation ?? 0) < 0) {
    errors.push(invalidValue(`${path}.generation`, metadata.generation, "must be greater than or equal to 0"));
  }
  errors.push(...validateLabels(metadata.labels, `${path}.labels`));
  errors.push(...validateAnnotations(metadata.annotations, `${path}.annotations`));
  errors.push(...validateOwnerReferences(metadata.ownerReferences, `${path}.ownerReferences`));
  errors.push(...validateFinalizers(metadata.finalizers, `${path}.finalizers`));
  errors.push(...validateManagedFields(metadata.managedFields, `${path}.managedFields`));
  return [...errors, ...validateQualified(kind, metadata.finalizers, `${path}.finalizers`)];
}

function validateNamespace(namespace: string | undefined, namespaced: boolean, path: string): FieldError[] {
  if (!namespaced) return namespace ? [forbiddenValue(path, "not allowed on this type")] : [];
  if (!namespace) return [requiredValue(path)];
  return dnsLabelErrors(namespace).map((message) => invalidValue(path, namespace, message));
}

/**
 * Metadata on update: what never changes, and the rules for what may. An absent resourceVersion is refused, so put
 * the stored one there first where the kind allows unconditional updates.
 */
export function validateObjectMetaUpdate(
  kind: { group: string },
  next: ObjectMeta,
  previous: ObjectMeta,
  path = "metadata",
): FieldError[] {
  const errors: FieldError[] = [];
  if (previous.deletionTimestamp) errors.push(...noNewFinalizers(next.finalizers, previous.finalizers, path));
  if (!next.resourceVersion) {
    errors.push(invalidValue(`${path}.resourceVersion`, next.resourceVersion ?? "", "must be specified for an update"));
  }
  if ((next.generation ?? 0) < (previous.generation ?? 0)) {
    errors.push(invalidValue(`${path}.generation`, next.generation ?? 0, "must not be decremented"));
  }
  for (const key of ["name", "namespace", "uid"] as const) {
    errors.push(...validateImmutable(next[key] ?? "", previous[key] ?? "", `${path}.${key}`));
  }
  for (const key of ["creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"] as const) {
    errors.push(...validateImmutable(next[key], previous[key], `${path}.${key}`));
  }
  errors.push(...validateLabels(next.labels, `${path}.labels`));
  errors.push(...validateAnnotations(next.annotations, `${path}.annotations`));
  errors.push(...validateOwnerReferences(next.ownerReferences, `${path}.ownerReferences`));
  errors.push(...validateManagedFields(next.managedFields, `${path}.managedFields`));
  return [...errors, ...validateQualified(kind, next.finalizers, `${path}.finalizers`)];
}

/**
 * Groups whose kinds accept only finalizers with a domain, or Kubernetes' own; leases and custom resources accept any.
 */
const strictGroups = new Set([
  "",
  "admissionregistration.k8s.io",
  "apps",
  "autoscaling",
  "batch",
  "certificates.k8s.io",
  "discovery.k8s.io",
  "flowcontrol.apiserver.k8s.io",
  "networking.k8s.io",
  "node.k8s.io",
  "policy",
  "rbac.authorization.k8s.io",
  "resource.k8s.io",
  "scheduling.k8s.io",
  "storage.k8s.io",
]);
const ownFinalizers = ["kubernetes", "orphan", "foregroundDeletion"];

function validateQualified(
  { group }: { group: string },
  finalizers: readonly string[] = [],
  path: string,
): FieldError[] {
  if (!strictGroups.has(group)) return [];
  return finalizers.flatMap((finalizer, index) => {
    if (finalizer.includes("/") || ownFinalizers.includes(finalizer)) return [];
    const why = "name is neither a standard finalizer name nor is it fully qualified";
    return [invalidValue(`${path}[${index}]`, finalizer, why)];
  });
}

/** A field that must stay as it is. */
export const validateImmutable = (next: unknown, previous: unknown, path: string): FieldError[] =>
  deepEqual(next, previous) ? [] : [invalidValue(path, next, immutable)];

function noNewFinalizers(next: readonly string[] = [], previous: readonly string[] = [], path: string): FieldError[] {
  const extra = [...new Set(next)].filter((finalizer) => !previous.includes(finalizer)).sort();
  if (extra.length === 0) return [];
  const shown = `[]string{${extra.map((finalizer) => `"${finalizer}"`).join(", ")}}`;
  const why = `no new finalizers can be added if the object is being deleted, found new finalizers ${shown}`;
  return [forbiddenValue(`${path}.finalizers`, why)];
}

/** Labels, in the order of their keys. */
export function validateLabels(labels: Readonly<Record<string, string>> | undefined, path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const key of Object.keys(labels ?? {}).sort()) {
    for (const message of labelKeyErrors(key)) errors.push(invalidValue(path, key, message));
    const value = labels![key]!;
    for (const message of labelValueErrors(value)) errors.push(invalidValue(path, value, message));
  }
  return errors;
}

/** How much annotations take, in bytes. */
export const sizeOfAnnotations = (annotations: Readonly<Record<string, string>>): number =>
  Object.entries(annotations).reduce((size, [key, value]) => size + byteLength(key) + byteLength(value), 0);

/** Annotations: keys as labels' but in either case, and 256 KiB for all. */
export function validateAnnotations(
  annotations: Readonly<Record<string, string>> | undefined,
  path: string,
): FieldError[] {
  const errors: FieldError[] = [];
  for (const key of Object.keys(annotations ?? {}).sort()) {
    for (const message of labelKeyErrors(key.toLowerCase())) errors.push(invalidValue(path, key, message));
  }
  if (sizeOfAnnotations(annotations ?? {}) > maximumAnnotations) errors.push(tooLong(path, maximumAnnotations));
  return errors;
}

function validateOwnerReferences(references: readonly OwnerReference[] | undefined, path: string): FieldError[] {
  const errors: FieldError[] = [];
  let controller: string | undefined;
  for (const [index, reference] of (references ?? []).entries()) {
    errors.push(...validateOwnerReference(reference, `${path}[${index}]`));
    if (!reference.controller) continue;
    const name = `${reference.kind ?? ""}/${reference.name ?? ""}`;
    if (controller === undefined) controller = name;
    else {
      const why = `Only one reference can have Controller set to true. Found "true" in references for ${controller} and ${name}`;
      errors.push(invalidValue(path, references, why));
    }
  }
  return errors;
}

function validateOwnerReference(reference: OwnerReference, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const { apiVersion = "", kind, name, uid } = reference;
  const required = "must not be empty";
  if (!apiVersion) errors.push(requiredValue(`${path}.apiVersion`, required));
  else if (apiVersion.split("/").length > 2 || apiVersion.endsWith("/") || apiVersion.startsWith("/")) {
    errors.push(invalidValue(`${path}.apiVersion`, apiVersion, "must be <group>/<version> or <version>"));
  }
  if (!kind) errors.push(requiredValue(`${path}.kind`, required));
  if (!name) errors.push(requiredValue(`${path}.name`, required));
  if (!uid) errors.push(requiredValue(`${path}.uid`, required));
  if (apiVersion === "v1" && kind === "Event") {
    errors.push(invalidValue(path, reference, "/v1, Kind=Event is disallowed from being an owner"));
  }
  return errors;
}

function validateFinalizers(finalizers: readonly string[] | undefined, path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const finalizer of finalizers ?? []) {
    for (const message of labelKeyErrors(finalizer)) errors.push(invalidValue(path, finalizer, message));
  }
  if (finalizers?.includes("orphan") && finalizers.includes("foregroundDeletion")) {
    errors.push(invalidValue(path, finalizers, "finalizer orphan and foregroundDeletion cannot be both set"));
  }
  return errors;
}

function validateManagedFields(entries: readonly ManagedFieldsEntry[] | undefined, path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const [index, { operation = "", fieldsType, manager, subresource }] of (entries ?? []).entries()) {
    const at = `${path}[${index}]`;
    if (operation !== "Apply" && operation !== "Update") {
      errors.push(invalidValue(`${at}.operation`, operation, "must be `Apply` or `Update`"));
    }
    if (fieldsType && fieldsType !== "FieldsV1") {
      errors.push(invalidValue(`${at}.fieldsType`, fieldsType, "must be `FieldsV1`"));
    }
    errors.push(...validateFieldManager(manager ?? "", `${at}.manager`));
    if (byteLength(subresource ?? "") > 256) errors.push(tooLong(`${at}.subresource`, 256));
  }
  return errors;
}

/** The name of a field manager: up to 128 bytes of printable characters. */
export function validateFieldManager(manager: string, path: string): FieldError[] {
  const errors: FieldError[] = byteLength(manager) > 128 ? [tooLong(path, 128)] : [];
  let position = 0;
  for (const character of manager) {
    if (/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u.test(character)) {
      const code = character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0");
      errors.push(invalidValue(path, manager, `invalid character U+${code} (at position ${position})`));
    }
    position += byteLength(character);
  }
  return errors;
}

/** A label selector; an absent one has no errors. */
export function validateLabelSelector(
  selector: LabelSelector | undefined,
  path: string,
  options: { allowInvalidValues?: boolean } = {},
): FieldError[] {
  if (!selector) return [];
  const errors = validateLabels(selector.matchLabels, `${path}.matchLabels`);
  for (const [index, { key = "", operator = "", values }] of (selector.matchExpressions ?? []).entries()) {
    const at = `${path}.matchExpressions[${index}]`;
    if (operator === "In" || operator === "NotIn") {
      if (!values?.length) {
        errors.push(requiredValue(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
      }
    } else if (operator === "Exists" || operator === "DoesNotExist") {
      if (values?.length) {
        errors.push(
          forbiddenValue(`${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
        );
      }
    } else errors.push(invalidValue(`${at}.operator`, operator, "not a valid selector operator"));
    for (const message of labelKeyErrors(key)) errors.push(invalidValue(`${at}.key`, key, message));
    if (options.allowInvalidValues) continue;
    for (const [place, value] of (values ?? []).entries()) {
      for (const message of labelValueErrors(value))
        errors.push(invalidValue(`${at}.values[${place}]`, value, message));
    }
  }
  return errors;
}

const reasonSource = "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?";
const reasonPattern = new RegExp(`^${reasonSource}$`);
const reasonMessage =
  "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_'";

/** A list of meta/v1 conditions. */
export function validateConditions(conditions: readonly Condition[] | undefined, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  for (const [index, condition] of (conditions ?? []).entries()) {
    const at = `${path}[${index}]`;
    if (seen.has(condition.type)) {
      errors.push({
        reason: "FieldValueDuplicate",
        field: `${at}.type`,
        message: `Duplicate value: "${condition.type}"`,
      });
    }
    seen.add(condition.type);
    errors.push(...validateCondition(condition, at));
  }
  return errors;
}

function validateCondition(condition: Condition, at: string): FieldError[] {
  const errors: FieldError[] = [];
  const { type = "", status = "", observedGeneration, lastTransitionTime, reason = "", message = "" } = condition;
  for (const wrong of labelKeyErrors(type)) errors.push(invalidValue(`${at}.type`, type, wrong));
  if (!["True", "False", "Unknown"].includes(status)) {
    errors.push(notSupported(`${at}.status`, status, ["False", "True", "Unknown"]));
  }
  if ((observedGeneration ?? 0) < 0) {
    const field = `${at}.observedGeneration`;
    errors.push(invalidValue(field, observedGeneration, "must be greater than or equal to zero"));
  }
  if (!lastTransitionTime) errors.push(requiredValue(`${at}.lastTransitionTime`));
  if (!reason) errors.push(requiredValue(`${at}.reason`));
  else if (!reasonPattern.test(reason)) {
    const examples = ["my_name", "MY_NAME", "MyName", "ReasonA,ReasonB", "ReasonA:ReasonB"];
    errors.push(invalidValue(`${at}.reason`, reason, patternError(reasonMessage, reasonSource, ...examples)));
  }
  if (byteLength(reason) > 1024) errors.push(tooLong(`${at}.reason`, 1024));
  if (byteLength(message) > 32 * 1024) errors.push(tooLong(`${at}.message`, 32 * 1024));
  return errors;
}
