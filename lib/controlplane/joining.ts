import {
  type ClusterRole,
  type ClusterRoleBinding,
  type ConfigMap,
  clusterRoleBindings,
  clusterRoles,
  configMaps,
  type Role,
  type RoleBinding,
  rbacGroup,
  roleBindings,
  roles,
  type Subject,
} from "#api";
import { clusterInfo, kubeconfigKey, networkExtension, nodeGroup } from "#bootstrap-tokens";
import type { Client } from "#client";
import { ensure } from "./ensure.ts";

export interface JoiningOptions {
  /** The URL at which other machines reach the API server. */
  server: string;
  /** The certificate authority of the cluster in PEM. */
  ca: string;
  /** The blocks of addresses of pods and services. */
  podCidr: string;
  serviceCidr: string;
}

const readNodes = "kubeadm:get-nodes";
const readClusterInfo = "kubeadm:bootstrap-signer-clusterinfo";
const requests = "system:certificates.k8s.io:certificatesigningrequests";

const subject = (kind: "User" | "Group", name: string): Subject => ({ kind, apiGroup: rbacGroup, name });

/**
 * Lets machines join by bootstrap tokens, with kubeadm's objects: the description of the cluster, which all may read,
 * and the rights of tokens and nodes to have certificates approved. Safe to run at every start.
 */
export async function allowJoining(
  client: Client,
  { server, ca, podCidr, serviceCidr }: JoiningOptions,
): Promise<void> {
  const bindings: [name: string, role: string, group: string][] = [
    [readNodes, readNodes, nodeGroup],
    ["kubeadm:kubelet-bootstrap", "system:node-bootstrapper", nodeGroup],
    ["kubeadm:node-autoapprove-bootstrap", `${requests}:nodeclient`, nodeGroup],
    // An agent is also its node's service proxy and routes to other nodes: it reads all nodes, as kube-proxy does.
    ["skiff:node-proxier", "system:node-proxier", "system:nodes"],
    ["kubeadm:node-autoapprove-certificate-rotation", `${requests}:selfnodeclient`, "system:nodes"],
  ];
  await ensure<ClusterRole>(client, clusterRoles, {
    metadata: { name: readNodes },
    rules: [{ verbs: ["get"], apiGroups: [""], resources: ["nodes"] }],
  });
  for (const [name, role, group] of bindings) {
    await ensure<ClusterRoleBinding>(client, clusterRoleBindings, {
      metadata: { name },
      roleRef: { apiGroup: rbacGroup, kind: "ClusterRole", name: role },
      subjects: [subject("Group", group)],
    });
  }
  const { namespace, name: resourceName } = clusterInfo;
  await ensure<Role>(client, roles, {
    metadata: { namespace, name: readClusterInfo },
    rules: [{ verbs: ["get"], apiGroups: [""], resources: ["configmaps"], resourceNames: [resourceName] }],
  });
  await ensure<RoleBinding>(client, roleBindings, {
    metadata: { namespace, name: readClusterInfo },
    roleRef: { apiGroup: rbacGroup, kind: "Role", name: readClusterInfo },
    subjects: [subject("User", "system:anonymous")],
  });
  const extensions = [{ name: networkExtension, extension: { podCidr, serviceCidr } }];
  const cluster = { server, "certificate-authority-data": btoa(ca), extensions };
  const kubeconfig = { apiVersion: "v1", kind: "Config", clusters: [{ name: "", cluster }] };
  await ensure<ConfigMap>(client, configMaps, {
    metadata: { ...clusterInfo },
    data: { [kubeconfigKey]: `${JSON.stringify(kubeconfig, null, 2)}\n` },
  });
}
