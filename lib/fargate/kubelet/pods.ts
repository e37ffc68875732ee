import { type ConfigMap, configMaps, type Pod, type PodCondition, type PodStatus, pods } from "#api";
import { formatTime, isReason, parseTime } from "#base";
import type { Client, ObjectName } from "#client";
import { fargateNode, isFargateNode } from "#fargate";
import { statusToWrite } from "#kubelet";
import type { ControllerContext } from "#reconcile";
import { configMapsOf } from "./env.ts";
import { allContainers, type Refusal } from "./refusals.ts";

export const keyOf = ({ metadata }: Pod): ObjectName => ({ namespace: metadata.namespace, name: metadata.name ?? "" });

/** Records an Event about one pod. */
export type EventWriter = (type: "Normal" | "Warning", reason: string, message: string) => void;

export const eventsAbout =
  (pod: Pod, record: ControllerContext["record"]): EventWriter =>
  (type, reason, message) =>
    record({ kind: pods, object: pod }, type, reason, message);

/** Milliseconds of a pod's `activeDeadlineSeconds` that are left, at least 0; undefined when it has none. */
export function timeLeft({ spec, status }: Pod, now: number): number | undefined {
  const seconds = spec?.activeDeadlineSeconds;
  if (seconds === undefined) return undefined;
  const since = status?.startTime === undefined ? now : parseTime(status.startTime);
  return Math.max(0, since + Number(seconds) * 1000 - now);
}

const unlessGone = (error: unknown): undefined => {
  if (isReason(error, "NotFound")) return undefined;
  throw error;
};

/** The pod of this name if it is on the Fargate node, or undefined. */
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

/** The ConfigMaps that a pod's environment names and that exist, by name. */
export async function configMapsFor(client: Client, pod: Pod): Promise<Map<string, ConfigMap>> {
  const { namespace } = pod.metadata;
  const names = [...new Set(allContainers(pod.spec ?? { containers: [] }).flatMap(configMapsOf))];
  const found = await Promise.all(names.map((name) => client.get(configMaps, { namespace, name }).catch(unlessGone)));
  return new Map(found.flatMap((map) => (map ? [[map.metadata.name ?? "", map]] : [])));
}

/**
 * Writes a pod's status unless it is unchanged. Resolves with the resulting pod; rejects with Conflict when the pod has
 * changed since it was read, and with NotFound when it no longer exists.
 */
export async function writeStatus(
  client: Client,
  pod: Pod,
  { status, now }: { status: PodStatus; now: number },
): Promise<Pod> {
  const next = statusToWrite(pod.status, status, now);
  if (!next) return pod;
  return client.update(pods, { ...pod, status: next }, { subresource: "status" });
}

/** The status of a pod that this node rejects: the pod has failed, as upstream's kubelet decides it. */
export function rejected({ status }: Pod, { reason, message }: Refusal, now: number): PodStatus {
  const conditions = status?.conditions ?? [];
  return { ...status, phase: "Failed", reason, message, conditions, startTime: formatTime(now) };
}

/** The status of a pod one of whose containers waits for something that does not exist. `now` in milliseconds. */
export function waiting(
  pod: Pod,
  { container, message, now }: { container: string; message: string; now: number },
): PodStatus {
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

/** Deletes a pod at once; no effect when its name belongs to another pod by now. */
export async function removePod(client: Client, pod: Pod): Promise<void> {
  const { uid } = pod.metadata;
  await client.delete(pods, keyOf(pod), { uid, gracePeriodSeconds: 0 }).catch((error: unknown) => {
    if (!isReason(error, "NotFound") && !isReason(error, "Conflict")) throw error;
  });
}
