import type * as z from "zod";
import {
  ageColumn,
  type Column,
  dnsSubdomainErrors,
  type FieldError,
  invalidAll,
  invalidValue,
  type KubernetesObject,
  list,
  message,
  nameColumn,
  notSupported,
  optional,
  pathSegmentErrors,
  required,
  requiredValue,
  string,
} from "../meta/index.ts";

export const rbacGroup = "rbac.authorization.k8s.io";

export const Subject = message(
  "io.k8s.api.rbac.v1.Subject",
  () => ({
    kind: required(1, string, "User, Group or ServiceAccount."),
    apiGroup: optional(2, string, "Group of the subject's kind; empty for service accounts."),
    name: required(3, string, "Name of the user, group or service account."),
    namespace: optional(4, string, "Namespace of a service account; users and groups have none."),
  }),
  { atomic: true },
);
export type Subject = z.infer<typeof Subject>;

export const RoleRef = message(
  "io.k8s.api.rbac.v1.RoleRef",
  () => ({
    apiGroup: optional(1, string, "Group of the role.", { default: rbacGroup }),
    kind: required(2, string, "Role or ClusterRole."),
    name: required(3, string, "Name of the role."),
  }),
  { atomic: true },
);
export type RoleRef = z.infer<typeof RoleRef>;

export const subjectsField = () =>
  optional(2, list(Subject), "The subjects that the role is granted to.", { list: "atomic" });
export const roleRefField = () => required(3, RoleRef, "The granted role. Immutable.");

/** What both kinds of binding have. */
export interface AnyBinding extends KubernetesObject {
  subjects?: Subject[] | undefined;
  roleRef: RoleRef;
}

/** Upstream's SetDefaults_Subject, and of a role reference that is missing. */
export function setBindingDefaults(object: AnyBinding): void {
  object.roleRef ??= { apiGroup: rbacGroup, kind: "", name: "" };
  for (const subject of object.subjects ?? []) {
    if (!subject.apiGroup && (subject.kind === "User" || subject.kind === "Group")) subject.apiGroup = rbacGroup;
  }
}

/** Upstream's ValidateRoleBinding and ValidateClusterRoleBinding. */
export function validateBinding(object: AnyBinding, roleKinds: readonly string[], namespaced: boolean): FieldError[] {
  const { apiGroup = "", kind = "", name = "" } = object.roleRef ?? {};
  const errors: FieldError[] = [];
  if (apiGroup !== rbacGroup) errors.push(notSupported("roleRef.apiGroup", apiGroup, [rbacGroup]));
  if (!roleKinds.includes(kind)) errors.push(notSupported("roleRef.kind", kind, roleKinds));
  if (name === "") errors.push(requiredValue("roleRef.name"));
  else errors.push(...invalidAll("roleRef.name", name, pathSegmentErrors(name)));
  const subjects = (object.subjects ?? []).flatMap((subject, index) =>
    validateSubject(subject, namespaced, `subjects[${index}]`),
  );
  return [...errors, ...subjects];
}

function validateSubject(subject: Subject, namespaced: boolean, path: string): FieldError[] {
  const { kind = "", name = "", apiGroup = "", namespace = "" } = subject;
  const errors = name === "" ? [requiredValue(`${path}.name`)] : [];
  if (kind === "ServiceAccount") {
    if (name !== "") errors.push(...invalidAll(`${path}.name`, name, dnsSubdomainErrors(name)));
    if (apiGroup !== "") errors.push(notSupported(`${path}.apiGroup`, apiGroup, [""]));
    if (!namespaced && namespace === "") errors.push(requiredValue(`${path}.namespace`));
    return errors;
  }
  if (kind !== "User" && kind !== "Group") {
    return [...errors, notSupported(`${path}.kind`, kind, ["ServiceAccount", "User", "Group"])];
  }
  if (apiGroup !== rbacGroup) errors.push(notSupported(`${path}.apiGroup`, apiGroup, [rbacGroup]));
  return errors;
}

/** A binding's role stays what it was. */
export function validateSameRole({ roleRef: next }: AnyBinding, { roleRef: previous }: AnyBinding): FieldError[] {
  const { apiGroup = "", kind = "", name = "" } = next ?? {};
  if (apiGroup === previous?.apiGroup && kind === previous.kind && name === previous.name) return [];
  return [invalidValue("roleRef", { APIGroup: apiGroup, Kind: kind, Name: name }, "field is immutable")];
}

const subjectColumn = (name: string, kind: string, text: (subject: Subject) => string): Column<AnyBinding> => ({
  name,
  type: "string",
  priority: 1,
  doc: `${name} that the role is given to.`,
  value: ({ subjects }) =>
    (subjects ?? [])
      .filter((subject) => subject.kind === kind)
      .map(text)
      .join(", "),
});

/** The columns of both kinds of binding. */
export const bindingColumns: readonly Column<AnyBinding>[] = [
  nameColumn,
  {
    name: "Role",
    type: "string",
    doc: "The granted role.",
    value: ({ roleRef }) => `${roleRef?.kind ?? ""}/${roleRef?.name ?? ""}`,
  },
  ageColumn,
  subjectColumn("Users", "User", ({ name }) => name),
  subjectColumn("Groups", "Group", ({ name }) => name),
  subjectColumn("ServiceAccounts", "ServiceAccount", ({ namespace, name }) => `${namespace ?? ""}/${name}`),
];
