import type { ClusterRole } from "#api";
import { clusterRole } from "./notation.ts";

const events = "create update patch | core events.k8s.io | events";
/** Access and token reviews change nothing. */
const checks = [
  "create | authentication.k8s.io | tokenreviews",
  "create | authorization.k8s.io | subjectaccessreviews",
];
const requests = "create get list watch | certificates.k8s.io | certificatesigningrequests";

const nodeRules = [
  "create | authentication.k8s.io | tokenreviews",
  "create | authorization.k8s.io | subjectaccessreviews localsubjectaccessreviews",
  "read | core | services",
  "create get list watch | core | nodes",
  "update patch | core | nodes/status",
  "update patch | core | nodes",
  events,
  "read | core | pods",
  "create delete | core | pods",
  "update patch | core | pods/status",
  "create | core | pods/eviction",
  "read | core | secrets configmaps",
  "get | core | persistentvolumeclaims persistentvolumes",
  "get | core | endpoints",
  requests,
  "get create update patch delete | coordination.k8s.io | leases",
  "get | storage.k8s.io | volumeattachments",
  "create | core | serviceaccounts/token",
  "get update patch | core | persistentvolumeclaims/status",
  "read | storage.k8s.io | csidrivers",
  "get create update patch delete | storage.k8s.io | csinodes",
  "read | node.k8s.io | runtimeclasses",
  "get | resource.k8s.io | resourceclaims",
  "deletecollection | resource.k8s.io | resourceslices",
  "get | core | serviceaccounts",
];

const managerRules = [
  events,
  "create | coordination.k8s.io | leases",
  "get update | coordination.k8s.io | leases | kube-controller-manager",
  "create | core | secrets serviceaccounts",
  "delete | core | secrets",
  "get | core | namespaces secrets serviceaccounts configmaps",
  "update | core | secrets serviceaccounts",
  ...checks,
  "list watch | * | *",
  "create | core | serviceaccounts/token",
];

const schedulerRules = [
  events,
  "create | coordination.k8s.io | leases",
  "get update list watch | coordination.k8s.io | leases | kube-scheduler",
  "read write | coordination.k8s.io | leasecandidates",
  "read | core | nodes",
  "read delete | core | pods",
  "create | core | pods/binding bindings",
  "patch update | core | pods/status",
  "read | core | services replicationcontrollers",
  "read | apps extensions | replicasets",
  "read | apps | statefulsets",
  "read | policy | poddisruptionbudgets",
  "read | core | persistentvolumeclaims persistentvolumes",
  ...checks,
  "read | storage.k8s.io | csinodes",
  "read | storage.k8s.io | volumeattachments",
  "read | core | namespaces",
  "read | storage.k8s.io | csidrivers",
  "read | storage.k8s.io | csistoragecapacities",
  "read | resource.k8s.io | deviceclasses",
  "read update patch | resource.k8s.io | resourceclaims",
  "read update patch | resource.k8s.io | resourceclaims/status",
  "update | core | pods/finalizers",
  "read | resource.k8s.io | resourceslices",
  "create delete | resource.k8s.io | resourceclaims",
  "update patch | resource.k8s.io | resourceclaims/binding",
];

const certificates = "system:certificates.k8s.io:";
const approver = (signer: string): ClusterRole =>
  clusterRole(`${certificates}${signer}-approver`, [
    `approve | certificates.k8s.io | signers | kubernetes.io/${signer}`,
  ]);

/** The roles of a cluster's components and extensions (upstream's bootstrappolicy, ClusterRoles and NodeRules). */
export const rolesOfComponents = (): ClusterRole[] => [
  clusterRole("system:node", nodeRules),
  clusterRole("system:node-problem-detector", ["get | core | nodes", "patch | core | nodes/status", events]),
  clusterRole("system:node-bootstrapper", [requests]),
  clusterRole("system:auth-delegator", checks),
  clusterRole("system:kube-aggregator", ["read | core | services endpoints"]),
  clusterRole("system:kube-controller-manager", managerRules),
  clusterRole("system:kube-dns", ["list watch | core | endpoints services"]),
  clusterRole("system:persistent-volume-provisioner", [
    "read create delete | core | persistentvolumes",
    "read update | core | persistentvolumeclaims",
    "read | storage.k8s.io | storageclasses",
    "watch | core | events",
    events,
  ]),
  clusterRole(`${certificates}certificatesigningrequests:nodeclient`, [
    "create | certificates.k8s.io | certificatesigningrequests/nodeclient",
  ]),
  clusterRole(`${certificates}certificatesigningrequests:selfnodeclient`, [
    "create | certificates.k8s.io | certificatesigningrequests/selfnodeclient",
  ]),
  clusterRole("system:volume-scheduler", [
    "read update patch | core | persistentvolumes",
    "read | storage.k8s.io | storageclasses",
    "read update patch | core | persistentvolumeclaims",
  ]),
  approver("legacy-unknown"),
  approver("kubelet-serving"),
  approver("kube-apiserver-client"),
  approver("kube-apiserver-client-kubelet"),
  clusterRole("system:service-account-issuer-discovery", [
    "get | /.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/",
  ]),
  clusterRole("system:kubelet-api-admin", [
    "read | core | nodes",
    "proxy | core | nodes",
    "* | core | nodes/proxy nodes/metrics nodes/stats nodes/log",
    "* | core | nodes/pods nodes/healthz nodes/configz",
  ]),
  clusterRole("system:node-proxier", [
    "list watch | core | services endpoints",
    "read | core | nodes",
    events,
    "list watch | networking.k8s.io | servicecidrs",
    "list watch | discovery.k8s.io | endpointslices",
  ]),
  clusterRole("system:kube-scheduler", schedulerRules),
];
