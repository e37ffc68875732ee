import {
  type ClusterRole,
  type ClusterRoleBinding,
  clusterRoleBindings,
  clusterRoles,
  missingRules,
  type Role,
  type RoleBinding,
  roleBindings,
  roles,
} from "#api";
import type { Kind, KubernetesObject } from "#api/meta";
import { clone, deepEqual, isReason } from "#base";
import type { Client } from "#client";
import { autoUpdate } from "./notation.ts";
import { bootstrapPolicy } from "./policy.ts";

type AnyRole = Role & Pick<ClusterRole, "aggregationRule">;
type AnyBinding = RoleBinding | ClusterRoleBinding;

const attempts = 4;
const keyOf = ({ metadata }: KubernetesObject): string => `${metadata.namespace ?? ""}/${metadata.name}`;

/**
 * Reconciles the bootstrap roles and bindings: creates missing ones, adds rules, selectors and subjects that existing
 * ones lack, and keeps what they have beyond that (upstream's storage_rbac.go and
 * component-helpers/auth/rbac/reconciliation). Objects whose annotation forbids it are not changed. One list for each
 * kind, and one write for each object that differs; safe to run at every start, and concurrently.
 */
export async function ensurePolicy(client: Client): Promise<void> {
  const policy = bootstrapPolicy();
  // Roles first: a binding whose role is missing would be reported to every user that it names.
  await Promise.all([
    ensureAll<ClusterRole>(client, clusterRoles, policy.clusterRoles, mergedRole),
    ensureAll<Role>(client, roles, policy.roles, mergedRole),
  ]);
  await Promise.all([
    ensureAll<ClusterRoleBinding>(client, clusterRoleBindings, policy.clusterRoleBindings, mergedBinding),
    ensureAll<RoleBinding>(client, roleBindings, policy.roleBindings, mergedBinding),
  ]);
}

/** Merges the existing and the desired object; "recreate" where an update cannot. */
type Merge<T> = (there: T, wanted: T) => T | "recreate";

async function ensureAll<T extends KubernetesObject>(
  client: Client,
  kind: Kind<T>,
  wanted: readonly T[],
  merge: Merge<T>,
): Promise<void> {
  const { items } = await client.list(kind);
  const known = new Map(items.map((object) => [keyOf(object), object]));
  await Promise.all(wanted.map((object) => ensure(client, kind, object, known.get(keyOf(object)), merge)));
}

async function ensure<T extends KubernetesObject>(
  client: Client,
  kind: Kind<T>,
  wanted: T,
  known: T | undefined,
  merge: Merge<T>,
): Promise<void> {
  const name = { namespace: wanted.metadata.namespace, name: wanted.metadata.name ?? "" };
  let there = known;
  for (let attempt = 1; ; attempt++) {
    try {
      return await ensureOnce(client, kind, wanted, there, merge);
    } catch (error) {
      const raced = ["Conflict", "AlreadyExists", "NotFound"].some((reason) => isReason(error, reason));
      if (!raced || attempt === attempts) throw error;
      there = await client.get(kind, name).catch((missing: unknown) => {
        if (isReason(missing, "NotFound")) return undefined;
        throw missing;
      });
    }
  }
}

async function ensureOnce<T extends KubernetesObject>(
  client: Client,
  kind: Kind<T>,
  wanted: T,
  there: T | undefined,
  merge: Merge<T>,
): Promise<void> {
  if (!there) {
    await client.create(kind, clone(wanted) as T);
    return;
  }
  if (there.metadata.annotations?.[autoUpdate] === "false") return;
  const next = merge(clone(there) as T, wanted);
  if (next === "recreate") {
    const { namespace, name = "", uid } = there.metadata;
    await client.delete(kind, { namespace, name }, { uid });
    await client.create(kind, clone(wanted) as T);
    return;
  }
  const { labels, annotations } = wanted.metadata;
  next.metadata.labels = { ...labels, ...next.metadata.labels };
  next.metadata.annotations = { ...annotations, ...next.metadata.annotations };
  if (!deepEqual(next, there)) await client.update(kind, next);
}

function mergedRole(there: AnyRole, wanted: AnyRole): AnyRole {
  const missing = missingRules(there.rules ?? [], wanted.rules ?? []);
  if (missing.length > 0) there.rules = [...(there.rules ?? []), ...missing];
  if (!wanted.aggregationRule) {
    delete there.aggregationRule;
    return there;
  }
  const selectors = there.aggregationRule?.clusterRoleSelectors ?? [];
  const more = (wanted.aggregationRule.clusterRoleSelectors ?? []).filter(
    (selector) => !selectors.some((known) => deepEqual(known, selector)),
  );
  if (more.length > 0) there.aggregationRule = { clusterRoleSelectors: [...selectors, ...more] };
  return there;
}

function mergedBinding<T extends AnyBinding>(there: T, wanted: T): T | "recreate" {
  if (!deepEqual(there.roleRef, wanted.roleRef)) return "recreate";
  const subjects = there.subjects ?? [];
  const missing = (wanted.subjects ?? []).filter((subject) => !subjects.some((known) => deepEqual(known, subject)));
  if (missing.length > 0) there.subjects = [...subjects, ...missing];
  return there;
}
