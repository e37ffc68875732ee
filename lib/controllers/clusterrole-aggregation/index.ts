/** Aggregates rules into the cluster roles that select them (upstream's clusterrole-aggregation controller). */
import { type ClusterRole, clusterRoles, matches, type PolicyRule, requirementsOf } from "#api";
import { deepEqual, ignoreNotFound } from "#base";
import { type ControllerContext, defineController, type Key, type ObjectEvent, watching } from "#reconcile";

export const clusterRoleAggregationController = defineController<ClusterRole>({
  name: "clusterrole-aggregation",
  for: clusterRoles,
  concerns: ({ object }) => object.aggregationRule !== undefined,
  watches: [watching<ClusterRole>(clusterRoles, gatherers)],
  reconcile,
});

const gathers = ({ aggregationRule }: ClusterRole, { metadata }: ClusterRole): boolean =>
  (aggregationRule?.clusterRoleSelectors ?? []).some((selector) =>
    matches(requirementsOf(selector), metadata.labels ?? {}),
  );

/** The roles that aggregate the rules of a role, or did before it changed. */
async function gatherers(
  { type, object, previous }: ObjectEvent<ClusterRole>,
  { client }: ControllerContext,
): Promise<Key[]> {
  const sameLabels = previous && deepEqual(previous.metadata.labels, object.metadata.labels);
  if (type === "MODIFIED" && sameLabels && deepEqual(previous.rules, object.rules)) return [];
  const { items } = await client.list(clusterRoles);
  return items
    .filter((role) => gathers(role, object) || (previous && gathers(role, previous)))
    .map(({ metadata }) => ({ name: metadata.name ?? "" }));
}

async function reconcile({ client }: ControllerContext, key: Key): Promise<void> {
  const role = await ignoreNotFound(client.get(clusterRoles, key));
  if (!role?.aggregationRule) return;
  const { items } = await client.list(clusterRoles);
  const others = items.filter(({ metadata }) => metadata.name !== key.name).sort(byName);
  const rules: PolicyRule[] = [];
  for (const selector of role.aggregationRule.clusterRoleSelectors ?? []) {
    const wanted = requirementsOf(selector);
    for (const other of others.filter(({ metadata }) => matches(wanted, metadata.labels ?? {}))) {
      for (const rule of other.rules ?? []) {
        if (!rules.some((known) => deepEqual(known, rule))) rules.push(rule);
      }
    }
  }
  if (deepEqual(rules, role.rules ?? [])) return;
  await ignoreNotFound(client.patch(clusterRoles, key, { rules }, { type: "merge" }));
}

const byName = (a: ClusterRole, b: ClusterRole): number => ((a.metadata.name ?? "") < (b.metadata.name ?? "") ? -1 : 1);
