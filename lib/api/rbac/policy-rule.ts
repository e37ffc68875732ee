import type * as z from "zod";
import {
  type FieldError,
  invalidValue,
  list,
  message,
  optional,
  required,
  requiredValue,
  string,
} from "../meta/index.ts";

const atomic = { list: "atomic" } as const;

export const PolicyRule = message("io.k8s.api.rbac.v1.PolicyRule", () => ({
  verbs: required(1, list(string), "Verbs; `*` for all.", atomic),
  apiGroups: optional(2, list(string), "The groups of the resources; `*` for all.", atomic),
  resources: optional(
    3,
    list(string),
    "Resources and `resource/part`; `*` for all, `*/part` for a part of any.",
    atomic,
  ),
  resourceNames: optional(4, list(string), "Names that the rule is limited to. Defaults to all.", atomic),
  nonResourceURLs: optional(
    5,
    list(string),
    "Paths that are not resources; a `*` at the end matches any suffix.",
    atomic,
  ),
}));
export type PolicyRule = z.infer<typeof PolicyRule>;

/** Upstream's ValidatePolicyRule for a list of rules. */
export const validateRules = (rules: readonly PolicyRule[] | undefined, namespaced: boolean): FieldError[] =>
  (rules ?? []).flatMap((rule, index) => validateRule(rule, namespaced, `rules[${index}]`));

function validateRule(rule: PolicyRule, namespaced: boolean, path: string): FieldError[] {
  const { verbs = [], apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] } = rule;
  const errors: FieldError[] = [];
  if (verbs.length === 0) errors.push(requiredValue(`${path}.verbs`, "verbs must contain at least one value"));
  if (nonResourceURLs.length > 0) {
    const refuse = (why: string) => errors.push(invalidValue(`${path}.nonResourceURLs`, nonResourceURLs, why));
    if (namespaced) refuse("namespaced rules cannot apply to non-resource URLs");
    if (apiGroups.length + resources.length + resourceNames.length > 0) {
      refuse("rules cannot apply to both regular resources and non-resource URLs");
    }
    return errors;
  }
  if (apiGroups.length === 0) {
    errors.push(requiredValue(`${path}.apiGroups`, "resource rules must supply at least one api group"));
  }
  if (resources.length === 0) {
    errors.push(requiredValue(`${path}.resources`, "resource rules must supply at least one resource"));
  }
  return errors;
}
