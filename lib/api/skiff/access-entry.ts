import type * as z from "zod";
import { deepEqual, forbidden } from "#base";
import {
  type AccessContext,
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
  username: optional(
    2,
    string,
    "User name of the principal in the cluster. Defaults to the ARN without the role's path.",
  ),
  groups: optional(3, list(string), "The groups that the principal is in, for role bindings."),
}));
export type AccessEntrySpec = z.infer<typeof AccessEntrySpec>;

export const AccessEntry = message("dev.skiff.v1.AccessEntry", () => ({
  metadata: metadataField(),
  spec: required(2, AccessEntrySpec, "An IAM principal, and its user and groups in the cluster."),
}));
export type AccessEntry = z.infer<typeof AccessEntry>;

const principal = /^arn:[\w-]+:iam::\d{12}:(role|user)\/[!-~]+$/;

const assumed = /^arn:([\w-]+):sts::(\d{12}):assumed-role\/([\w+=,.@-]+)\/([\w+=,.@-]+)$/;
const lasting = /^arn:([\w-]+):iam::(\d{12}):(role|user)\/(?:[!-~]+\/)?([\w+=,.@-]+)$/;
const root = /^arn:([\w-]+):iam::(\d{12}):root$/;

/**
 * The canonical name of a principal: a session becomes its role, without the role's path. Undefined for other
 * principals, such as a federated session.
 */
export function canonicalArn(arn: string): string | undefined {
  const session = assumed.exec(arn);
  if (session) return `arn:${session[1]}:iam::${session[2]}:role/${session[3]}`;
  const own = lasting.exec(arn);
  if (own?.[3] === "role") return `arn:${own[1]}:iam::${own[2]}:role/${own[4]}`;
  return own || root.test(arn) ? arn : undefined;
}

/** The user name of an entry's principal. */
const usernameOf = ({ principalArn, username }: AccessEntrySpec): string =>
  username || canonicalArn(principalArn) || principalArn;

/** Maps a principal of AWS IAM to a user with groups; role bindings grant its rights. */
export const accessEntries = defineKind<AccessEntry>({
  group: "skiff.dev",
  version: "v1",
  kind: "AccessEntry",
  plural: "accessentries",
  singular: "accessentry",
  scope: "Cluster",
  schema: AccessEntry,
  guard,
  validate: ({ spec }) => validateSpec(spec),
  validateUpdate: (next, previous) =>
    validateImmutable(next.spec?.principalArn, previous.spec?.principalArn, "spec.principalArn"),
  columns: [
    nameColumn,
    { name: "Principal", type: "string", doc: "The IAM principal.", value: ({ spec }) => spec?.principalArn ?? "" },
    {
      name: "Username",
      type: "string",
      doc: "The user name in the cluster.",
      value: ({ spec }) => spec?.username || "<none>",
    },
    { name: "Groups", type: "string", doc: "The groups in the cluster.", value: ({ spec }) => groupsOf(spec) },
    ageColumn,
  ],
});

/**
 * A writer hands out only identities that it may take itself: the verb `impersonate` on the user and on each group, and
 * system:masters only as a member of it. A change that leaves the spec alone hands out nothing.
 */
async function guard(next: AccessEntry, previous: AccessEntry | undefined, context: AccessContext): Promise<void> {
  const { spec } = next;
  if (!spec || (previous && deepEqual(spec, previous.spec)) || context.user.groups.includes(masters)) return;
  const refuse = (why: string) =>
    forbidden({ group: accessEntries.group, resource: accessEntries.plural }, next.metadata.name ?? "", why);
  if (spec.groups?.includes(masters)) throw refuse(`only a member of ${masters} can give that group to a principal`);
  const asked: [plural: string, name: string][] = [
    ["users", usernameOf(spec)],
    ...(spec.groups ?? []).map((group): [string, string] => ["groups", group]),
  ];
  for (const [plural, name] of asked) {
    const resource = { group: "", version: "v1", plural, subresource: "", namespace: "", name };
    const decision = await context.authorize({ user: context.user, verb: "impersonate", resource, path: "" });
    if (decision?.allowed) continue;
    throw refuse(`user ${JSON.stringify(context.user.name)} cannot impersonate ${plural} ${JSON.stringify(name)}`);
  }
}

const masters = "system:masters";

const groupsOf = (spec: AccessEntrySpec | undefined): string => spec?.groups?.join(",") || "<none>";

/** Names of the cluster's own components, which no principal may have. */
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
  if (username.startsWith("arn:") && username !== canonicalArn(principalArn)) {
    errors.push(invalidValue("spec.username", username, "must not be the ARN of another principal"));
  }
  for (const [place, group] of groups.entries()) {
    const path = `spec.groups[${place}]`;
    if (group === "") errors.push(requiredValue(path));
    else if (group.startsWith("system:") && group !== masters) {
      errors.push(invalidValue(path, group, "must not begin with system: except for system:masters"));
    }
  }
  return errors;
}
