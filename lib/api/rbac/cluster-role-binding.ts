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

export const ClusterRoleBinding = message("io.k8s.api.rbac.v1.ClusterRoleBinding", () => ({
  metadata: metadataField(),
  subjects: subjectsField(),
  roleRef: roleRefField(),
}));
export type ClusterRoleBinding = z.infer<typeof ClusterRoleBinding>;

/** Grants a cluster role in all namespaces. */
export const clusterRoleBindings = defineKind<ClusterRoleBinding>({
  group: rbacGroup,
  version: "v1",
  kind: "ClusterRoleBinding",
  plural: "clusterrolebindings",
  singular: "clusterrolebinding",
  scope: "Cluster",
  name: "path-segment",
  schema: ClusterRoleBinding,
  createOnUpdate: true,
  guard: guardBinding("clusterrolebindings"),
  defaults: setBindingDefaults,
  validate: (object) => validateBinding(object, ["ClusterRole"], false),
  validateUpdate: validateSameRole,
  columns: bindingColumns,
});
