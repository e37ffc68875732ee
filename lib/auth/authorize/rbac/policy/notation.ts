import {
  type ClusterRole,
  type ClusterRoleBinding,
  type PolicyRule,
  type Role,
  type RoleBinding,
  rbacGroup,
  type Subject,
} from "#api";

/*
 * A rule in one line: `verbs | groups | resources | names`, or `verbs | /path /path/*`. The core group is written
 * `core`; `read` and `write` stand for several verbs.
 */

const words = (text: string | undefined): string[] => (text ?? "").split(" ").filter((word) => word !== "");

const verbSets: Readonly<Record<string, readonly string[]>> = {
  read: ["get", "list", "watch"],
  write: ["create", "delete", "deletecollection", "patch", "update"],
};

function rule(line: string): PolicyRule {
  const [verbWords, second, resources, names] = line.split("|").map((part) => part.trim());
  const verbs = words(verbWords)
    .flatMap((word) => verbSets[word] ?? [word])
    .sort();
  if (resources === undefined) return { verbs, nonResourceURLs: words(second).sort() };
  const apiGroups = words(second).map((group) => (group === "core" ? "" : group));
  return {
    verbs,
    apiGroups: apiGroups.sort(),
    resources: words(resources).sort(),
    ...(names === undefined ? {} : { resourceNames: words(names) }),
  };
}

const bootstrapping = { "kubernetes.io/bootstrapping": "rbac-defaults" };
/** The annotation whose value "false" keeps an object unchanged. */
export const autoUpdate = "rbac.authorization.kubernetes.io/autoupdate";
const annotations = { [autoUpdate]: "true" };
const aggregateTo = (name: string) => `rbac.authorization.k8s.io/aggregate-to-${name}`;

export interface RoleOptions {
  /** The role into which its rules are aggregated. */
  partOf?: string;
  /** The role whose rules are aggregated from others. */
  gathers?: true;
}

/** A cluster role by its rules, one per line. */
export function clusterRole(
  name: string,
  lines: readonly string[],
  { partOf, gathers }: RoleOptions = {},
): ClusterRole {
  const labels = partOf === undefined ? bootstrapping : { ...bootstrapping, [aggregateTo(partOf)]: "true" };
  const metadata = { name, labels, annotations };
  if (!gathers) return { metadata, rules: lines.map(rule) };
  return { metadata, aggregationRule: { clusterRoleSelectors: [{ matchLabels: { [aggregateTo(name)]: "true" } }] } };
}

/** A role in one namespace. */
export const namespacedRole = (namespace: string, name: string, lines: readonly string[]): Role => ({
  metadata: { namespace, name, labels: bootstrapping, annotations },
  rules: lines.map(rule),
});

export const user = (name: string): Subject => ({ kind: "User", apiGroup: rbacGroup, name });
export const group = (name: string): Subject => ({ kind: "Group", apiGroup: rbacGroup, name });
export const account = (namespace: string, name: string): Subject => ({ kind: "ServiceAccount", namespace, name });

/** A binding with the name of its role. */
export const clusterBinding = (name: string, subjects: Subject[]): ClusterRoleBinding => ({
  metadata: { name, labels: bootstrapping, annotations },
  ...(subjects.length === 0 ? {} : { subjects }),
  roleRef: { apiGroup: rbacGroup, kind: "ClusterRole", name },
});

export const namespacedBinding = (namespace: string, name: string, role: string, subjects: Subject[]): RoleBinding => ({
  metadata: { namespace, name, labels: bootstrapping, annotations },
  subjects,
  roleRef: { apiGroup: rbacGroup, kind: "Role", name: role },
});
