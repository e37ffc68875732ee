import { expect } from "vitest";
import type { Case } from "../runner.ts";

const docs = "kubernetes.io/docs/reference/access-authn-authz/rbac";
const recorded = "data/kubectl-1.36-requests";
const group = "rbac.authorization.k8s.io";

const role = (verbs: string[]) => ({
  apiVersion: `${group}/v1`,
  kind: "Role",
  metadata: { name: "reconciled", namespace: "$NS" },
  rules: [{ apiGroups: [""], resources: ["services"], verbs }],
});
const binding = {
  apiVersion: `${group}/v1`,
  kind: "RoleBinding",
  metadata: { name: "reconciled", namespace: "$NS" },
  subjects: [{ kind: "User", apiGroup: group, name: "rita" }],
  roleRef: { apiGroup: group, kind: "Role", name: "reconciled" },
};
const list = (...items: object[]): string => JSON.stringify({ apiVersion: "v1", kind: "List", items });

/** Roles, bindings and permissions. Names of objects without a namespace contain the namespace. */
export const access: readonly Case[] = [
  { run: "auth whoami", source: `${recorded}: protobuf body`, out: [/Username\s+kubernetes-admin/, /system:masters/] },
  {
    run: "auth whoami -o json --as=jane --as-group=cn=dev,ou=people --as-group=ops --as-uid=7",
    source: "upstream impersonation filter",
    json: ({ status }) => {
      const groups = ["cn=dev,ou=people", "ops", "system:authenticated"];
      expect(status.userInfo).toEqual({ username: "jane", uid: "7", groups });
    },
  },
  { run: "auth can-i create pods", source: `${recorded}: GET, then protobuf body`, out: /^yes$/m },
  { run: "auth can-i '*' '*'", source: docs, out: /^yes$/m },
  { run: "auth can-i list pods --as=jane", source: docs, code: 1, out: /^no$/m },
  { run: "auth can-i list pods --as=jane --quiet", source: docs, code: 1, not: /./ },
  { run: "auth can-i get /healthz --as=jane", source: "system:public-info-viewer", out: /^yes$/m },
  { run: "auth can-i get /metrics --as=jane", source: docs, code: 1, out: /^no$/m },
  { run: "create role looker --verb=get,list,watch --resource=pods", source: recorded, out: /looker created/ },
  {
    run: "create role one --verb=get --resource=secrets --resource-name=first --dry-run=server -o yaml",
    source: docs,
    out: [/resourceNames:\n\s+- first/, /apiGroups:\n\s+- ""/],
  },
  { run: "create role parts --verb=update --resource=deployments.apps/scale", source: docs, out: /parts created/ },
  { run: "create role nothing --verb=get --resource=no-such-thing", source: docs, code: 1, err: /no-such-thing/ },
  { run: "create rolebinding lookers --role=looker --user=jane --group=ops", source: recorded, out: /lookers created/ },
  { run: "create rolebinding robots --clusterrole=view --serviceaccount=$NS:robot", source: docs, out: /created/ },
  {
    run: "create clusterrole $NS-nodes --verb=get,list --resource=nodes",
    source: recorded,
    global: true,
    out: /clusterrole\.rbac\.authorization\.k8s\.io\/\S+ created/,
  },
  {
    run: "create clusterrole $NS-paths --verb=get --non-resource-url=/logs/*",
    source: docs,
    global: true,
    out: /created/,
  },
  {
    run: "create clusterrole $NS-all --aggregation-rule=from=$NS",
    source: docs,
    global: true,
    out: /created/,
  },
  { run: "label clusterrole $NS-nodes from=$NS", source: docs, global: true, out: /labeled/ },
  {
    run: "describe clusterrole $NS-all",
    source: "upstream clusterrole aggregation",
    global: true,
    within: 5,
    out: /nodes\s+\[\]\s+\[\]\s+\[get list\]/,
  },
  {
    run: "create clusterrolebinding $NS-nodes --clusterrole=$NS-all --user=jane",
    source: recorded,
    global: true,
    out: /clusterrolebinding\.rbac\.authorization\.k8s\.io\/\S+ created/,
  },
  { run: "auth can-i list pods --as=jane", source: docs, out: /^yes$/m },
  { run: "auth can-i list pods --as=joe --as-group=ops", source: docs, out: /^yes$/m },
  { run: "auth can-i list pods --as=system:serviceaccount:$NS:robot", source: docs, out: /^yes$/m },
  { run: "auth can-i create pods --as=jane", source: docs, code: 1, out: /^no$/m },
  { run: "auth can-i list nodes --as=jane", source: docs, out: /^yes$/m },
  { run: "auth can-i list nodes --as=joe", source: docs, code: 1, out: /^no$/m },
  { run: "get pods --as=jane", source: docs, code: 0 },
  {
    run: "get secrets --as=jane",
    source: "upstream ForbiddenStatusError",
    code: 1,
    err: /secrets is forbidden: User "jane" cannot list resource "secrets" in API group "" in the namespace "\S+"/,
  },
  {
    run: "run sneaky --image=busybox --as=jane",
    source: docs,
    code: 1,
    err: /pods is forbidden: User "jane" cannot create resource "pods"/,
  },
  {
    run: "auth can-i --list --as=jane",
    source: `${recorded}: protobuf body`,
    out: [
      /Resources\s+Non-Resource URLs\s+Resource Names\s+Verbs/,
      /pods\s+\[\]\s+\[\]\s+\[get list watch\]/,
      /selfsubjectreviews\.authentication\.k8s\.io\s+\[\]\s+\[\]\s+\[create\]/,
      /\[\/api\/\*\]\s+\[\]\s+\[get\]/,
    ],
  },
  { run: "auth can-i --list", source: docs, out: /\*\.\*\s+\[\]\s+\[\]\s+\[\*\]/ },
  { run: "get role,rolebinding", source: "upstream printers", out: [/NAME\s+CREATED AT/, /NAME\s+ROLE\s+AGE/] },
  {
    run: "get rolebinding lookers -o wide",
    source: "upstream printRoleBinding",
    out: [/USERS\s+GROUPS\s+SERVICEACCOUNTS/, /Role\/looker\s+\S+\s+jane\s+ops/],
  },
  { run: "describe role looker", source: docs, out: /pods\s+\[\]\s+\[\]\s+\[get list watch\]/ },
  { run: "describe rolebinding lookers", source: docs, out: [/Kind:\s+Role/, /User\s+jane/, /Group\s+ops/] },
  { run: "describe clusterrole view", source: docs, global: true, out: /pods\/log\s+\[\]\s+\[\]\s+\[get list watch\]/ },
  { run: "describe clusterrole cluster-admin", source: docs, global: true, out: /\*\.\*\s+\[\]\s+\[\]\s+\[\*\]/ },
  {
    run: "create rolebinding roots --clusterrole=cluster-admin --user=jane --as=jane",
    source: docs,
    code: 1,
    err: /cannot create resource "rolebindings"/,
  },
  { run: "create rolebinding bosses --clusterrole=admin --user=boss", source: docs, out: /created/ },
  {
    run: "create rolebinding roots --clusterrole=cluster-admin --user=jane --as=boss",
    source: "upstream ConfirmNoEscalation",
    code: 1,
    err: /user "boss" \(groups=\["system:authenticated"\]\) is attempting to grant RBAC permissions not currently held/,
  },
  {
    run: "create role nodes --verb=get --resource=nodes --as=boss",
    source: "upstream ConfirmNoEscalation",
    code: 1,
    err: /\{APIGroups:\[""\], Resources:\["nodes"\], Verbs:\["get"\]\}/,
  },
  { run: "create rolebinding more --clusterrole=edit --user=jane --as=boss", source: docs, out: /created/ },
  {
    run: `patch rolebinding more --type=merge -p '{"roleRef":{"name":"view"}}'`,
    source: "upstream ValidateRoleBindingUpdate",
    code: 1,
    err: /roleRef.*field is immutable/,
  },
  { run: "auth reconcile -f -", stdin: list(role(["get"]), binding), source: docs, out: /reconciled reconciled/ },
  { run: "auth can-i get services --as=rita", source: "what was reconciled", out: /^yes$/m },
  { run: "auth reconcile -f -", stdin: list(role(["list"])), source: docs, out: /reconciled reconciled/ },
  { run: "auth can-i get services --as=rita", source: "extra rules stay", out: /^yes$/m },
  {
    run: "auth reconcile -f - --remove-extra-permissions",
    stdin: list(role(["list"])),
    source: docs,
    out: /reconciled reconciled/,
  },
  { run: "auth can-i get services --as=rita", source: "extra rules go", code: 1, out: /^no$/m },
  { run: "apply -f -", stdin: list(role(["get", "watch"])), source: docs, out: /reconciled configured/ },
  { run: "explain rolebinding.roleRef", source: recorded, out: /name\s+<string> -required-/ },
  {
    run: "delete clusterrolebinding/$NS-nodes clusterrole/$NS-nodes clusterrole/$NS-all clusterrole/$NS-paths",
    source: docs,
    global: true,
    out: /deleted/,
  },
];
