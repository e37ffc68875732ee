import type * as z from "zod";
import { defineKind, list, message, metadataField, optional } from "../meta/index.ts";
import { guardRole } from "./escalation.ts";
import { PolicyRule, validateRules } from "./policy-rule.ts";
import { rbacGroup } from "./subject.ts";

export const Role = message("io.k8s.api.rbac.v1.Role", () => ({
  metadata: metadataField(),
  rules: optional(2, list(PolicyRule), "What the role allows in its namespace.", { printed: true, list: "atomic" }),
}));
export type Role = z.infer<typeof Role>;

/** What may be done in one namespace. */
export const roles = defineKind<Role>({
  group: rbacGroup,
  version: "v1",
  kind: "Role",
  plural: "roles",
  singular: "role",
  scope: "Namespaced",
  name: "path-segment",
  schema: Role,
  createOnUpdate: true,
  guard: guardRole("roles"),
  validate: ({ rules }) => validateRules(rules, true),
});
