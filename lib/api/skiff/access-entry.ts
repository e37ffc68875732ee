import type * as z from "zod";
import {
  ageColumn,
  defineKind,
  type FieldError,
  invalidValue,
  list,
  message,
  metadataField,
  nameColumn,
  optional,
  required,
  requiredValue,
  string,
  validateImmutable,
} from "../meta/index.ts";

export const AccessEntrySpec = message("dev.skiff.v1.AccessEntrySpec", () => ({
  principalArn: required(1, string, "The ARN of an IAM role or user. A role's path does not count."),
  username: optional(2, string, "Who the principal is in the cluster; the ARN without the role's path unless given."),
  groups: optional(3, list(string), "The groups that the principal is in, for role bindings."),
}));
export type AccessEntrySpec = z.infer<typeof AccessEntrySpec>;

export const AccessEntry = message("dev.skiff.v1.AccessEntry", () => ({
  metadata: metadataField(),
  spec: required(2, AccessEntrySpec, "Which principal may come in, and as whom."),
}));
export type AccessEntry = z.infer<typeof AccessEntry>;

const principal = /^arn:[\w-]+:iam::\d{12}:(role|user)\/[!-~]+$/;

/** Lets a principal of AWS IAM in as a user with groups; what it may do, role bindings say. */
export const accessEntry = defineKind<AccessEntry>({
  group: "skiff.dev",
  version: "v1",
  kind: "AccessEntry",
  plural: "accessentries",
  singular: "accessentry",
  scope: "Cluster",
  schema: AccessEntry,
  validate: ({ spec }) => validateSpec(spec),
  validateUpdate: (next, previous) =>
    validateImmutable(next.spec?.principalArn, previous.spec?.principalArn, "spec.principalArn"),
  columns: [
    nameColumn,
    { name: "Principal", type: "string", doc: "Who comes in.", value: ({ spec }) => spec?.principalArn ?? "" },
    { name: "Username", type: "string", doc: "As whom.", value: ({ spec }) => spec?.username || "<none>" },
    { name: "Groups", type: "string", doc: "With which groups.", value: ({ spec }) => groupsOf(spec) },
    ageColumn,
  ],
});

const groupsOf = (spec: AccessEntrySpec | undefined): string => spec?.groups?.join(",") || "<none>";

/** Names that the cluster gives to its own parts, which no principal may take. */
function validateSpec(spec: AccessEntrySpec | undefined): FieldError[] {
  if (!spec) return [requiredValue("spec")];
  const errors: FieldError[] = [];
  const { principalArn, username = "", groups = [] } = spec;
  if (!principalArn) errors.push(requiredValue("spec.principalArn"));
  else if (!principal.test(principalArn)) {
    errors.push(invalidValue("spec.principalArn", principalArn, "must be the ARN of an IAM role or user"));
  }
  if (username.startsWith("system:")) {
    errors.push(
      invalidValue("spec.username", username, "must not begin with system:, which is kept for the cluster's own"),
    );
  }
  for (const [place, group] of groups.entries()) {
    const path = `spec.groups[${place}]`;
    if (group === "") errors.push(requiredValue(path));
    else if (group.startsWith("system:") && group !== "system:masters") {
      errors.push(invalidValue(path, group, "must not begin with system: except for system:masters"));
    }
  }
  return errors;
}
