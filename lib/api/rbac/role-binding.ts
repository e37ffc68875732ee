import type * as z from "zod";
import { defineKind, message, metadataField } from "../meta/index.ts";
import { guardBinding } from "./escalation.ts";
import {
  bindingColumns,
  rbacGroup,
  roleRefField,
  setBindingDefaults,
  subjectsField,
  validateBinding,
  validateSameRole,
} from "./subject.ts";

export const RoleBinding = message("io.k8s.api.rbac.v1.RoleBinding", () => ({
  metadata: metadataField(),
  subjects: subjectsField(),
  roleRef: roleRefField(),
}));
export type RoleBinding = z.infer<typeof RoleBinding>;

/** Grants a role in one namespace. */
export const roleBindings = defineKind<RoleBinding>({
  group: rbacGroup,
  version: "v1",
  kind: "RoleBinding",
  plural: "rolebindings",
  singular: "rolebinding",
  scope: "Namespaced",
  name: "path-segment",
  schema: RoleBinding,
  createOnUpdate: true,
  guard: guardBinding("rolebindings"),
  defaults: setBindingDefaults,
  validate: (object) => validateBinding(object, ["Role", "ClusterRole"], true),
  validateUpdate: validateSameRole,
  columns: bindingColumns,
});
