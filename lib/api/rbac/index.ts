/**
 * rbac.authorization.k8s.io/v1: roles, what binds them to people, and how rules compare: what a rule covers, and that
 * nobody hands out what they do not hold. Who may do what is decided elsewhere, from these objects.
 */
export * from "./cluster-role.ts";
export * from "./cluster-role-binding.ts";
export { covers, describeRule, missingRules } from "./covers.ts";
export * from "./policy-rule.ts";
export * from "./role.ts";
export * from "./role-binding.ts";
export { RoleRef, rbacGroup, Subject } from "./subject.ts";
