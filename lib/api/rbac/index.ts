/**
 * rbac.authorization.k8s.io/v1: roles, their bindings to subjects, and the comparison of rules that prevents privilege
 * escalation. lib/auth decides requests by these objects.
 */
export * from "./cluster-role.ts";
export * from "./cluster-role-binding.ts";
export { covers, describeRule, missingRules } from "./covers.ts";
export * from "./policy-rule.ts";
export * from "./role.ts";
export * from "./role-binding.ts";
export { RoleRef, rbacGroup, Subject } from "./subject.ts";
