import type * as z from "zod";
import {
  defineKind,
  type FieldError,
  invalidValue,
  LabelSelector,
  list,
  message,
  metadataField,
  optional,
  requiredValue,
  validateLabelSelector,
} from "../meta/index.ts";
import { guardRole } from "./escalation.ts";
import { PolicyRule, validateRules } from "./policy-rule.ts";
import { rbacGroup } from "./subject.ts";

export const AggregationRule = message("io.k8s.api.rbac.v1.AggregationRule", () => ({
  clusterRoleSelectors: optional(
    1,
    list(LabelSelector),
    "Label selectors; the rules of every cluster role that matches one are combined.",
    {
      list: "atomic",
    },
  ),
}));
export type AggregationRule = z.infer<typeof AggregationRule>;

export const ClusterRole = message("io.k8s.api.rbac.v1.ClusterRole", () => ({
  metadata: metadataField(),
  rules: optional(2, list(PolicyRule), "What the role allows.", { printed: true, list: "atomic" }),
  aggregationRule: optional(3, AggregationRule, "Gathers the rules of other cluster roles into this one's."),
}));
export type ClusterRole = z.infer<typeof ClusterRole>;

/** Rights in all namespaces or outside of them, or in one namespace by a RoleBinding. */
export const clusterRoles = defineKind<ClusterRole>({
  group: rbacGroup,
  version: "v1",
  kind: "ClusterRole",
  plural: "clusterroles",
  singular: "clusterrole",
  scope: "Cluster",
  name: "path-segment",
  schema: ClusterRole,
  createOnUpdate: true,
  guard: guardRole("clusterroles"),
  validate: ({ rules, aggregationRule }) => [...validateRules(rules, false), ...validateAggregation(aggregationRule)],
});

function validateAggregation(rule: AggregationRule | undefined): FieldError[] {
  if (!rule) return [];
  const path = "aggregationRule.clusterRoleSelectors";
  const selectors = rule.clusterRoleSelectors ?? [];
  if (selectors.length === 0) {
    return [requiredValue(path, "at least one clusterRoleSelector required if aggregationRule is non-nil")];
  }
  return selectors.flatMap((selector, index) => {
    const at = `${path}[${index}]`;
    const errors = validateLabelSelector(selector, at);
    return errors.length === 0 ? [] : [...errors, invalidValue(at, undefined, "invalid label selector.")];
  });
}
