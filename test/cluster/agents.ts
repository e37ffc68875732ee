import { type Node, type Pod, pods } from "#api";
import { type Clock, formatTime, isReason } from "#base";
import type { Client } from "#client";

/** A node that is ready and has room. */
export function readyNode(name: string, time: number, more: Partial<Node> = {}): Node {
  const now = formatTime(time);
  const room = { cpu: "4", memory: "8Gi", pods: "110" };
  return {
    metadata: { name, labels: { "kubernetes.io/hostname": name }, ...more.metadata },
    spec: { ...more.spec },
    status: {
      capacity: room,
      allocatable: room,
      conditions: [
        { type: "Ready", status: "True", reason: "KubeletReady", lastHeartbeatTime: now, lastTransitionTime: now },
      ],
      ...more.status,
    },
  } as Node;
}

let address = 0;

/** Acts as the nodes' agents: marks bound pods as running and ready, and removes those that are being deleted. */
export async function playAgents(client: Client, clock: Clock): Promise<void> {
  const { items } = await client.list(pods);
  for (const pod of items.filter(({ spec }) => spec?.nodeName)) {
    const { namespace, name = "", uid } = pod.metadata;
    try {
      if (pod.metadata.deletionTimestamp)
        await client.delete(pods, { namespace, name }, { uid, gracePeriodSeconds: 0 });
      else if (pod.status?.phase === "Pending")
        await client.update(pods, running(pod, clock), { subresource: "status" });
    } catch (error) {
      // Another writer was faster: the next call reads the new state.
      if (!isReason(error, "Conflict") && !isReason(error, "NotFound")) throw error;
    }
  }
}

function running(pod: Pod, clock: Clock): Pod {
  const now = formatTime(clock.now());
  const podIP = `10.244.${Math.floor(address / 250)}.${(address++ % 250) + 2}`;
  const condition = (type: string) => ({ type, status: "True", lastTransitionTime: now });
  return {
    ...pod,
    status: {
      ...pod.status,
      phase: "Running",
      podIP,
      podIPs: [{ ip: podIP }],
      startTime: now,
      conditions: [
        ...(pod.status?.conditions ?? []).filter(({ type }) => type === "PodScheduled"),
        ...["Initialized", "Ready", "ContainersReady"].map(condition),
      ],
      containerStatuses: (pod.spec?.containers ?? []).map(({ name, image }) => ({
        name,
        image: image ?? "",
        imageID: "",
        ready: true,
        started: true,
        restartCount: 0,
        state: { running: { startedAt: now } },
      })),
    },
  } as Pod;
}
