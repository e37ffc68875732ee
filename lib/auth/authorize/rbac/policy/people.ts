import type { ClusterRole } from "#api";
import { clusterRole } from "./notation.ts";

const appsWritten = "deployments deployments/rollback deployments/scale replicasets replicasets/scale";
const appsRead = "deployments deployments/scale deployments/status replicasets replicasets/scale replicasets/status";

/** The roles for users (upstream's bootstrappolicy, ClusterRoles, viewRules and editRules). */
export const rolesOfPeople = (): ClusterRole[] => [
  clusterRole("cluster-admin", ["* | * | *", "* | *"]),
  clusterRole("system:discovery", [
    "get | /livez /readyz /healthz /version /version/ /openapi /openapi/* /api /api/* /apis /apis/*",
  ]),
  clusterRole("system:monitoring", [
    "get | /metrics /metrics/slis /livez /readyz /healthz /livez/* /readyz/* /healthz/* /flagz /statusz",
    "get | core | nodes/metrics",
  ]),
  clusterRole("system:basic-user", [
    "create | authorization.k8s.io | selfsubjectaccessreviews selfsubjectrulesreviews",
    "create | authentication.k8s.io | selfsubjectreviews",
  ]),
  clusterRole("system:public-info-viewer", ["get | /livez /readyz /healthz /version /version/"]),
  clusterRole("admin", [], { gathers: true }),
  clusterRole("edit", [], { gathers: true, partOf: "admin" }),
  clusterRole("view", [], { gathers: true, partOf: "edit" }),
  // metrics-server's role: its API is served without it.
  clusterRole("system:aggregated-metrics-reader", ["read | metrics.k8s.io | pods nodes"], { partOf: "view" }),
  clusterRole(
    "system:aggregate-to-admin",
    [
      "create | authorization.k8s.io | localsubjectaccessreviews",
      "read write | rbac.authorization.k8s.io | roles rolebindings",
    ],
    { partOf: "admin" },
  ),
  clusterRole(
    "system:aggregate-to-edit",
    [
      // Rights to act as a pod or to read secrets are more than viewing.
      "read | core | pods/attach pods/proxy pods/exec pods/portforward secrets services/proxy",
      "impersonate | core | serviceaccounts",
      "write | core | pods pods/attach pods/proxy pods/exec pods/portforward",
      "create | core | pods/eviction",
      "write | core | replicationcontrollers replicationcontrollers/scale serviceaccounts services services/proxy persistentvolumeclaims configmaps secrets",
      "create | core | serviceaccounts/token",
      "write | core events.k8s.io | events",
      `write | apps | statefulsets statefulsets/scale daemonsets ${appsWritten}`,
      "write | autoscaling | horizontalpodautoscalers",
      "write | batch | jobs cronjobs",
      `write | extensions | daemonsets ${appsWritten} ingresses replicationcontrollers/scale networkpolicies`,
      "write | policy | poddisruptionbudgets",
      "write | networking.k8s.io | networkpolicies ingresses",
      "read write | coordination.k8s.io | leases",
      "write | resource.k8s.io | resourceclaims resourceclaimtemplates",
    ],
    { partOf: "edit" },
  ),
  clusterRole(
    "system:aggregate-to-view",
    [
      "read | core | pods replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status endpoints persistentvolumeclaims persistentvolumeclaims/status configmaps",
      "read | core | limitranges resourcequotas bindings pods/status resourcequotas/status namespaces/status replicationcontrollers/status pods/log",
      // In a namespace this is the namespace itself.
      "read | core | namespaces",
      "read | core events.k8s.io | events",
      "read | discovery.k8s.io | endpointslices",
      `read | apps | controllerrevisions statefulsets statefulsets/status statefulsets/scale daemonsets daemonsets/status ${appsRead}`,
      "read | autoscaling | horizontalpodautoscalers horizontalpodautoscalers/status",
      "read | batch | jobs jobs/status cronjobs cronjobs/status",
      `read | extensions | daemonsets daemonsets/status ${appsRead} ingresses ingresses/status replicationcontrollers/scale networkpolicies`,
      "read | policy | poddisruptionbudgets poddisruptionbudgets/status",
      "read | networking.k8s.io | networkpolicies ingresses ingresses/status",
      "read | resource.k8s.io | resourceclaims resourceclaims/status resourceclaimtemplates",
    ],
    { partOf: "view" },
  ),
];
