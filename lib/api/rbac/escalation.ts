import { clone, deepEqual, forbidden } from "#base";
import type { AccessContext, AccessRule, KubernetesObject } from "../meta/index.ts";
import { compactRules, describeRule, missingRules, quoted } from "./covers.ts";
import { type AnyBinding, rbacGroup } from "./subject.ts";

/*
 * Prevents privilege escalation (upstream's registry/rbac/*\/policybased): the writer of a role must have all its rules
 * or the verb `escalate`, the writer of a binding all rules of the role or the verb `bind` on it.
 */

const everything: readonly AccessRule[] = [
  { verbs: ["*"], apiGroups: ["*"], resources: ["*"] },
  { verbs: ["*"], nonResourceURLs: ["*"] },
];

interface AnyRole extends KubernetesObject {
  rules?: AccessRule[] | undefined;
  aggregationRule?: { clusterRoleSelectors?: unknown[] | undefined } | undefined;
}

/** Members of this group have every right, whatever the roles are; the control plane is one. */
const isMaster = ({ user }: AccessContext): boolean => user.groups.includes("system:masters");

/** Whether an update changes nothing but what garbage collection needs to let the object go. */
function onlyCollects(next: KubernetesObject, previous: KubernetesObject | undefined): boolean {
  if (!previous) return false;
  const copy = clone(next);
  for (const field of ["ownerReferences", "finalizers", "selfLink", "managedFields"] as const) {
    if (previous.metadata[field] === undefined) delete copy.metadata[field];
    else Object.assign(copy.metadata, { [field]: previous.metadata[field] });
  }
  return deepEqual(copy, previous);
}

async function mayDo(context: AccessContext, verb: string, plural: string, namespace: string, name: string) {
  const resource = { group: rbacGroup, version: "*", plural, subresource: "", namespace, name };
  const decision = await context.authorize({ user: context.user, verb, resource, path: "" });
  return decision?.allowed ?? false;
}

/** What is wrong with handing out these rules; undefined when the writer holds them all. */
async function escalation(context: AccessContext, rules: readonly AccessRule[]): Promise<string | undefined> {
  const { user, namespace } = context;
  const held = await context.rulesFor(user, namespace);
  const missing = missingRules(held.rules, rules);
  if (missing.length === 0) return undefined;
  const lines = [...new Set(compactRules(missing).map(describeRule))].sort();
  const who = `user ${JSON.stringify(user.name)} (groups=${quoted(user.groups)})`;
  const amiss = held.error === "" ? "" : `; resolution errors: [${held.error}]`;
  return `${who} is attempting to grant RBAC permissions not currently held:\n${lines.join("\n")}${amiss}`;
}

const hasAggregation = (role: AnyRole | undefined): boolean =>
  (role?.aggregationRule?.clusterRoleSelectors?.length ?? 0) > 0;

/** Guards writes of roles. */
export const guardRole =
  (plural: string) =>
  async (next: AnyRole, previous: AnyRole | undefined, context: AccessContext): Promise<void> => {
    if (isMaster(context) || onlyCollects(next, previous)) return;
    if (await mayDo(context, "escalate", plural, context.namespace, context.name)) return;
    const resource = { group: rbacGroup, resource: plural };
    const why = await escalation(context, next.rules ?? []);
    if (why !== undefined) throw forbidden(resource, next.metadata.name ?? "", why);
    if (!hasAggregation(next) && !hasAggregation(previous)) return;
    // Aggregation can gather anything, and an update of it could keep the role from being tightened.
    if ((await escalation(context, everything)) === undefined) return;
    throw forbidden(
      resource,
      next.metadata.name ?? "",
      "must have cluster-admin privileges to use the aggregationRule",
    );
  };

const rolePlurals: Readonly<Record<string, string>> = { Role: "roles", ClusterRole: "clusterroles" };

/** Guards writes of bindings. */
export const guardBinding =
  (plural: string) =>
  async (next: AnyBinding, previous: AnyBinding | undefined, context: AccessContext): Promise<void> => {
    if (isMaster(context) || onlyCollects(next, previous)) return;
    const { kind = "", name = "" } = next.roleRef ?? {};
    const rolePlural = Object.hasOwn(rolePlurals, kind) ? rolePlurals[kind] : undefined;
    // What names no role is refused by validation.
    if (rolePlural === undefined || name === "") return;
    if (await mayDo(context, "bind", rolePlural, context.namespace, name)) return;
    const rules = await context.rulesOf({ kind, name }, context.namespace);
    const why = await escalation(context, rules);
    if (why !== undefined) throw forbidden({ group: rbacGroup, resource: plural }, next.metadata.name ?? "", why);
  };
