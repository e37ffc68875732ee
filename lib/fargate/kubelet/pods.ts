import { type ConfigMap, configMaps, type Pod, type PodCondition, type PodStatus, pods } from "#api";
import { deepEqual, formatTime, isReason } from "#base";
import type { Client, ObjectName } from "#client";
import { fargateNode, isFargateNode } from "#fargate";
import { mergeStatus } from "#kubelet";
import { configMapsOf } from "./env.ts";
import { allContainers, type Refusal } from "./refusals.ts";

export const keyOf = ({ metadata }: Pod): ObjectName => ({ namespace: metadata.namespace, name: metadata.name ?? "" });

const unlessGone = (error: unknown): undefined => {
  if (isReason(error, "NotFound")) return undefined;
  throw error;
};

/** A pod of the Fargate node; undefined when there is none of this name. */
export async function podNamed(client: Client, key: ObjectName): Promise<Pod | undefined> {
  const pod = await client.get(pods, key).catch(unlessGone);
  return isFargateNode(pod?.spec?.nodeName) ? pod : undefined;
}

/** A pod of the Fargate node by its uid. */
export async function podWithUid(client: Client, uid: string): Promise<Pod | undefined> {
  const fields = [{ field: "spec.nodeName", equal: true, value: fargateNode }];
  const { items } = await client.list(pods, { fields });
  return items.find(({ metadata }) => metadata.uid === uid);
}

/** The ConfigMaps that a pod's environment names and that are there, by name. */
export async function configMapsFor(client: Client, pod: Pod): Promise<Map<string, ConfigMap>> {
  const { namespace } = pod.metadata;
  const names = [...new Set(allContainers(pod.spec ?? { containers: [] }).flatMap(configMapsOf))];
  const found = await Promise.all(names.map((name) => client.get(configMaps, { namespace, name }).catch(unlessGone)));
  return new Map(found.flatMap((map) => (map ? [[map.metadata.name ?? "", map]] : [])));
}

/**
 * Writes what differs of a pod's status. Resolves with the pod as it stands then; rejects with Conflict when the pod
 * has changed since it was read, and with NotFound when it is gone.
 */
export async function writeStatus(client: Client, pod: Pod, status: PodStatus, now: number): Promise<Pod> {
  const next = mergeStatus(pod.status, status, now);
  if (deepEqual(next, pod.status)) return pod;
  return client.update(pods, { ...pod, status: next }, { subresource: "status" });
}

/** A pod that this node will not have: it has failed, as with kubelets that reject a pod. */
export function rejected({ status }: Pod, { reason, message }: Refusal, now: number): PodStatus {
  const kept = status?.conditions ?? [];
  return { ...status, phase: "Failed", reason, message, conditions: kept, startTime: formatTime(now) };
}

/** A pod whose containers wait for something that is not there. */
export function waiting(pod: Pod, container: string, message: string, now: number): PodStatus {
  const before = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
  const show = ({ name, image = "" }: { name: string; image?: string | undefined }) => ({
    restartCount: 0,
    ...before.find((status) => status.name === name),
    name,
    image,
    imageID: "",
    ready: false,
    started: false,
    state: {
      waiting: name === container ? { reason: "CreateContainerConfigError", message } : { reason: "PodInitializing" },
    },
  });
  const { initContainers = [], containers = [] } = pod.spec ?? {};
  const ready = (type: string): PodCondition => ({ type, status: "False", reason: "ContainersNotReady" });
  return {
    phase: "Pending",
    startTime: pod.status?.startTime ?? formatTime(now),
    conditions: [ready("Ready"), ready("ContainersReady")],
    ...(initContainers.length > 0 ? { initContainerStatuses: initContainers.map(show) } : {}),
    containerStatuses: containers.map(show),
  };
}

/** Lets a pod go for good, unless another has taken its name. */
export async function removePod(client: Client, pod: Pod): Promise<void> {
  const { uid } = pod.metadata;
  await client.remove(pods, keyOf(pod), { uid, gracePeriodSeconds: 0 }).catch((error: unknown) => {
    if (!isReason(error, "NotFound") && !isReason(error, "Conflict")) throw error;
  });
}
