import type * as z from "zod";
import {
  type FieldError,
  forbiddenValue,
  invalidAll,
  invalidValue,
  LabelSelectorRequirement,
  labelKeyErrors,
  labelValueErrors,
  list,
  message,
  optional,
  required,
  requiredValue,
  string,
} from "../meta/index.ts";

const group = "io.k8s.api.authorization.v1";

export const FieldSelectorRequirement = message(
  "io.k8s.apimachinery.pkg.apis.meta.v1.FieldSelectorRequirement",
  () => ({
    key: required(1, string, "The field."),
    operator: required(2, string, "In, NotIn, Exists or DoesNotExist."),
    values: optional(3, list(string), "Values for In and NotIn.", { list: "atomic" }),
  }),
);
export type FieldSelectorRequirement = z.infer<typeof FieldSelectorRequirement>;

export const FieldSelectorAttributes = message(`${group}.FieldSelectorAttributes`, () => ({
  rawSelector: optional(1, string, "The selector as a list or watch would carry it."),
  requirements: optional(2, list(FieldSelectorRequirement), "The selector, parsed; all must hold.", { list: "atomic" }),
}));
export type FieldSelectorAttributes = z.infer<typeof FieldSelectorAttributes>;

export const LabelSelectorAttributes = message(`${group}.LabelSelectorAttributes`, () => ({
  rawSelector: optional(1, string, "The selector as a list or watch would carry it."),
  requirements: optional(2, list(LabelSelectorRequirement), "The selector, parsed; all must hold.", { list: "atomic" }),
}));
export type LabelSelectorAttributes = z.infer<typeof LabelSelectorAttributes>;

export const ResourceAttributes = message(`${group}.ResourceAttributes`, () => ({
  namespace: optional(1, string, "Namespace of the action; empty for all, or for what has none."),
  verb: optional(2, string, "The verb, such as get, list or create; `*` for all."),
  group: optional(3, string, "Group of the resource; `*` for all."),
  version: optional(4, string, "Version of the resource; `*` for all."),
  resource: optional(5, string, "The resource, such as pods; `*` for all."),
  subresource: optional(6, string, "A part of the resource, such as log."),
  name: optional(7, string, "Name of one object; empty for all."),
  fieldSelector: optional(8, FieldSelectorAttributes, "Limits the question to what a field selector matches."),
  labelSelector: optional(9, LabelSelectorAttributes, "Limits the question to what a label selector matches."),
}));
export type ResourceAttributes = z.infer<typeof ResourceAttributes>;

export const NonResourceAttributes = message(`${group}.NonResourceAttributes`, () => ({
  path: optional(1, string, "The path of the request."),
  verb: optional(2, string, "The method, in lower case."),
}));
export type NonResourceAttributes = z.infer<typeof NonResourceAttributes>;

/** What a question about access is about: one of the two. */
export interface Asked {
  resourceAttributes?: ResourceAttributes | undefined;
  nonResourceAttributes?: NonResourceAttributes | undefined;
}

const orNull = (attributes: NonResourceAttributes | undefined) =>
  attributes && { Path: attributes.path ?? "", Verb: attributes.verb ?? "" };

/** Upstream's checks that are common to all questions about access. */
export function validateAsked({ resourceAttributes, nonResourceAttributes }: Asked): FieldError[] {
  const errors: FieldError[] = [];
  if ((resourceAttributes === undefined) === (nonResourceAttributes === undefined)) {
    const why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
    errors.push(invalidValue("spec", orNull(nonResourceAttributes), why));
  }
  if (!resourceAttributes) return errors;
  const { fieldSelector, labelSelector } = resourceAttributes;
  const path = "spec.resourceAttributes";
  return [
    ...errors,
    ...validateSelector(fieldSelector, `${path}.fieldSelector`, requireKey),
    ...validateSelector(labelSelector, `${path}.labelSelector`, validateLabel),
  ];
}

type RequirementCheck = (path: string, key: string, values: readonly string[]) => FieldError[];

const requireKey: RequirementCheck = (path, key) =>
  key === "" ? [requiredValue(`${path}.key`, "must be specified")] : [];

const validateLabel: RequirementCheck = (path, key, values) => [
  ...invalidAll(`${path}.key`, key, labelKeyErrors(key)),
  ...values.flatMap((value, index) => invalidAll(`${path}.values[${index}]`, value, labelValueErrors(value))),
];

function validateSelector(
  selector: FieldSelectorAttributes | LabelSelectorAttributes | undefined,
  path: string,
  check: RequirementCheck,
): FieldError[] {
  if (!selector) return [];
  const { rawSelector = "", requirements = [] } = selector;
  const errors: FieldError[] = [];
  if (rawSelector !== "" && requirements.length > 0) {
    const why = "may not specified at the same time as requirements";
    errors.push(invalidValue(`${path}.rawSelector`, rawSelector, why));
  }
  if (rawSelector === "" && requirements.length === 0) {
    const why = `when ${path} is specified, requirements or rawSelector is required`;
    errors.push(requiredValue(`${path}.requirements`, why));
  }
  for (const [index, { key = "", operator = "", values = [] }] of requirements.entries()) {
    const at = `${path}.requirements[${index}]`;
    // An operator of a newer client is no reason to refuse: leaving out a term only requires more rights.
    if ((operator === "In" || operator === "NotIn") && values.length === 0) {
      errors.push(requiredValue(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
    }
    if ((operator === "Exists" || operator === "DoesNotExist") && values.length > 0) {
      const why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
      errors.push(forbiddenValue(`${at}.values`, why));
    }
    errors.push(...check(at, key, values));
  }
  return errors;
}
