import type { ClusterRole, ClusterRoleBinding, Role, RoleBinding } from "#api";
import { rolesOfComponents } from "./components.ts";
import { account, clusterBinding, group, namespacedBinding, namespacedRole, user } from "./notation.ts";
import { rolesOfPeople } from "./people.ts";

export interface Policy {
  clusterRoles: ClusterRole[];
  clusterRoleBindings: ClusterRoleBinding[];
  roles: Role[];
  roleBindings: RoleBinding[];
}

const authenticated = group("system:authenticated");
const manager = user("system:kube-controller-manager");
const scheduler = user("system:kube-scheduler");
const reader = "extension-apiserver-authentication-reader";

/**
 * The roles and bindings of every cluster, as upstream's bootstrappolicy has them in v1.36, without those that have no
 * user here: the roles of single controllers, which all run in the control plane as members of system:masters, the
 * leases of their leader election, and heapster.
 */
export const bootstrapPolicy = (): Policy => ({
  clusterRoles: [...rolesOfPeople(), ...rolesOfComponents()],
  clusterRoleBindings: [
    clusterBinding("cluster-admin", [group("system:masters")]),
    clusterBinding("system:monitoring", [group("system:monitoring")]),
    clusterBinding("system:discovery", [authenticated]),
    clusterBinding("system:basic-user", [authenticated]),
    clusterBinding("system:public-info-viewer", [authenticated, group("system:unauthenticated")]),
    clusterBinding("system:node-proxier", [user("system:kube-proxy")]),
    clusterBinding("system:kube-controller-manager", [manager]),
    clusterBinding("system:kube-dns", [account("kube-system", "kube-dns")]),
    clusterBinding("system:kube-scheduler", [scheduler]),
    clusterBinding("system:volume-scheduler", [scheduler]),
    // Nodes have an authorizer of their own: the role is bound to no subject.
    clusterBinding("system:node", []),
    clusterBinding("system:service-account-issuer-discovery", [group("system:serviceaccounts")]),
  ],
  roles: [namespacedRole("kube-system", reader, ["read | core | configmaps | extension-apiserver-authentication"])],
  roleBindings: [namespacedBinding("kube-system", `system::${reader}`, reader, [manager, scheduler])],
});
