import { clusterRoleBindings, clusterRoles, roleBindings, roles } from "#api";
import type { AccessRule, KubernetesObject } from "#api/meta";
import type { Authorizer, RuleResolver, User } from "../../port.ts";
import { allows } from "./allows.ts";
import { type Bound, concerning, indexBindings } from "./bindings.ts";
import { type ViewOptions, view } from "./view.ts";

export type RbacOptions = ViewOptions;

export interface Rbac {
  authorize: Authorizer;
  rules: RuleResolver;
}

/** Rules by the role's namespace and name. */
const byName = (all: readonly (KubernetesObject & { rules?: AccessRule[] | undefined })[]) =>
  new Map(all.map(({ metadata, rules }) => [`${metadata.namespace ?? ""}/${metadata.name}`, rules ?? []]));

/** The error of upstream's listers for a bound role that does not exist. */
const missing = (kind: string, name: string): string =>
  `${kind.toLowerCase()}.rbac.authorization.k8s.io ${JSON.stringify(name)} not found`;

/** Several errors as Go's aggregate prints them. */
function aggregated(errors: readonly string[]): string {
  const distinct = [...new Set(errors)];
  return distinct.length > 1 ? `[${distinct.join(", ")}]` : (distinct[0] ?? "");
}

/**
 * Decides by roles and bindings, and denies by default (upstream's plugin/pkg/auth/authorizer/rbac): rules only add
 * rights. Roles and bindings are indexed by subject; the index is rebuilt when the log of one of the four kinds has
 * changed.
 */
export function rbac(options: RbacOptions): Rbac {
  const views = {
    clusterBindings: view(options, clusterRoleBindings, indexBindings(clusterRoleBindings.kind)),
    clusterRoles: view(options, clusterRoles, byName),
    bindings: view(options, roleBindings, indexBindings(roleBindings.kind)),
    roles: view(options, roles, byName),
  };

  /** Calls `visit` with each binding of the user and its rules, undefined for a missing role. */
  const visit = async (
    user: User,
    namespace: string,
    seen: (bound: Bound, rules: readonly AccessRule[] | undefined) => boolean,
  ): Promise<void> => {
    const [everywhere, shared] = await Promise.all([views.clusterBindings(), views.clusterRoles()]);
    for (const bound of concerning(everywhere, "", user)) {
      if (!seen(bound, shared.get(`/${bound.role.name}`))) return;
    }
    if (namespace === "") return;
    const [here, own] = await Promise.all([views.bindings(), views.roles()]);
    for (const bound of concerning(here, namespace, user)) {
      const { kind, name } = bound.role;
      if (!seen(bound, kind === clusterRoles.kind ? shared.get(`/${name}`) : own.get(`${namespace}/${name}`))) return;
    }
  };

  return {
    async authorize(attributes) {
      const { user, resource } = attributes;
      const errors: string[] = [];
      let by: Bound | undefined;
      await visit(user, resource?.namespace ?? "", (bound, rules) => {
        if (!rules) errors.push(missing(bound.role.kind, bound.role.name));
        else if (rules.some((rule) => allows(rule, attributes))) by = bound;
        return by === undefined;
      });
      if (by) return { allowed: true, reason: `RBAC: allowed by ${by.describe()}` };
      return errors.length === 0 ? undefined : { allowed: false, reason: `RBAC: ${aggregated(errors)}` };
    },
    rules: {
      async rulesFor(user, namespace) {
        const errors: string[] = [];
        const found = new Set<readonly AccessRule[]>();
        await visit(user, namespace, (bound, rules) => {
          if (rules) found.add(rules);
          else errors.push(missing(bound.role.kind, bound.role.name));
          return true;
        });
        return { rules: [...found].flat(), incomplete: false, error: aggregated(errors) };
      },
      // Read without the index: a role and its binding are often written together.
      async rulesOf({ kind, name }, namespace) {
        const { client } = options;
        if (kind === clusterRoles.kind) return (await client.get(clusterRoles, { name })).rules ?? [];
        return (await client.get(roles, { namespace, name })).rules ?? [];
      },
    },
  };
}
