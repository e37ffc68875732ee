import type { Node, Pod } from "#api";
import { type Amounts, add, amountsOf, requestsOfPod } from "./resources.ts";

/** What scheduling needs of a pod, computed once. */
export interface PodInfo {
  pod: Pod;
  uid: string;
  requests: Amounts;
  /** The same with default amounts where nothing is requested, for scoring. */
  scored: Amounts;
  /** Host ports that the pod uses: `protocol/ip/port`. */
  ports: HostPort[];
}

export interface HostPort {
  ip: string;
  protocol: string;
  port: number;
}

/** A node with its pods, bound or about to be. */
export interface NodeInfo {
  name: string;
  node: Node;
  allocatable: Amounts;
  requested: Amounts;
  scored: Amounts;
  pods: Map<string, PodInfo>;
}

/** Containers that run for as long as their pod: sidecars, then the others (upstream's GetHostPorts). */
const lasting = ({ spec }: Pod) => [
  ...(spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === "Always"),
  ...(spec?.containers ?? []),
];

export function podInfo(pod: Pod): PodInfo {
  const ports = lasting(pod).flatMap(({ ports }) =>
    (ports ?? []).flatMap(({ hostPort, hostIP, protocol }) =>
      hostPort ? [{ ip: hostIP || "0.0.0.0", protocol: protocol ?? "TCP", port: hostPort }] : [],
    ),
  );
  return { pod, uid: pod.metadata.uid ?? "", requests: requestsOfPod(pod), scored: requestsOfPod(pod, true), ports };
}

export const nodeInfo = (node: Node): NodeInfo => ({
  name: node.metadata.name ?? "",
  node,
  allocatable: amountsOf(node.status?.allocatable ?? node.status?.capacity),
  requested: {},
  scored: {},
  pods: new Map(),
});

export function addPod(info: NodeInfo, pod: PodInfo): void {
  removePod(info, pod.uid);
  info.pods.set(pod.uid, pod);
  add(info.requested, pod.requests);
  add(info.scored, pod.scored);
}

export function removePod(info: NodeInfo, uid: string): void {
  const pod = info.pods.get(uid);
  if (!pod) return;
  info.pods.delete(uid);
  add(info.requested, pod.requests, -1);
  add(info.scored, pod.scored, -1);
}
