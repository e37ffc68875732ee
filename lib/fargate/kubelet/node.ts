import { type Node, type NodeCondition, nodes } from "#api";
import { formatTime, isReason } from "#base";
import type { Client } from "#client";
import { fargateNode } from "#fargate";

const taint = { key: "skiff.dev/fargate", value: "true", effect: "NoSchedule" } as const;
const labels = {
  "kubernetes.io/hostname": fargateNode,
  "kubernetes.io/os": "linux",
  "kubernetes.io/arch": "amd64",
  "kubernetes.io/role": "agent",
  // The labels and taint of nodes without a machine.
  type: "virtual-kubelet",
  "skiff.dev/fargate": "true",
};
/** Above any account's Fargate quota, which is the actual limit. */
const room = { cpu: "10k", memory: "64Ti", pods: "5k", "ephemeral-storage": "200Ti" };

const conditions = (now: string): NodeCondition[] =>
  (
    [
      ["MemoryPressure", "False", "KubeletHasSufficientMemory", "the node has no memory of its own"],
      ["DiskPressure", "False", "KubeletHasNoDiskPressure", "the node has no disk of its own"],
      ["PIDPressure", "False", "KubeletHasSufficientPID", "the node has no processes of its own"],
      ["Ready", "True", "KubeletReady", "pods run as Fargate tasks"],
    ] as const
  ).map(([type, status, reason, message]) => ({
    type,
    status,
    reason,
    message,
    lastHeartbeatTime: now,
    lastTransitionTime: now,
  }));

/** Registers the node with this version's labels, taint and status. Safe to repeat; other taints are kept. */
export async function registerFargateNode(client: Client, now: number): Promise<void> {
  const time = formatTime(now);
  const nodeInfo = { ...noMachine, kubeletVersion: "v1.36.0", operatingSystem: "linux", architecture: "amd64" };
  const status = {
    capacity: room,
    allocatable: room,
    conditions: conditions(time),
    addresses: [{ type: "Hostname", address: fargateNode }],
    nodeInfo,
  };
  const created = { metadata: { name: fargateNode, labels }, spec: { taints: [taint] }, status } as Node;
  const stored = await client.create(nodes, created).catch(async (error: unknown) => {
    if (!isReason(error, "AlreadyExists")) throw error;
    return client.get(nodes, { name: fargateNode });
  });
  const taints = stored.spec?.taints ?? [];
  const more = taints.some(({ key }) => key === taint.key) ? {} : { spec: { taints: [...taints, taint] } };
  const uid = { uid: stored.metadata.uid };
  const how = { type: "merge" } as const;
  await client.patch(nodes, { name: fargateNode }, { metadata: { ...uid, labels }, ...more }, how);
  const applied = { capacity: room, allocatable: room, nodeInfo, conditions: status.conditions };
  const patch = { metadata: uid, status: applied };
  await client.patch(nodes, { name: fargateNode }, patch, { type: "strategic", subresource: "status" });
}

const noMachine = {
  machineID: "",
  systemUUID: "",
  bootID: "",
  kernelVersion: "",
  osImage: "Fargate",
  containerRuntimeVersion: "ecs://1.4.0",
  kubeProxyVersion: "",
};
