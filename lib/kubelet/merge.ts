import { type PodCondition, type PodStatus, pods } from "#api";
import { decode, withTransitionTime } from "#api/meta";
import { deepEqual, type Json } from "#base";
import { isOver } from "./phase.ts";

/** Conditions that a kubelet owns; others have other writers and are kept. */
const ownedConditions = [
  ...["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"],
  ...["PodResizePending", "PodResizeInProgress", "AllContainersRestarting"],
];
/** Whether the kubelet owns a condition of a pod. */
export const ownsCondition = (type: string): boolean => ownedConditions.includes(type);

/**
 * Fields that a kubelet owns: they are removed when it no longer reports them. Others have other writers and are kept.
 */
const ownedFields = [
  ...["phase", "message", "reason", "hostIP", "hostIPs", "podIP", "podIPs", "startTime", "qosClass"],
  ...["observedGeneration", "containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"],
  ...["allocatedResources", "resources"],
] as const;

/**
 * The status to write: the new one over the stored one. A condition keeps its transition time until its status
 * changes, a pod keeps its start time, and a final phase stays. `now` is in milliseconds since the epoch.
 */
export function mergeStatus(old: PodStatus | undefined, next: PodStatus, now: number): PodStatus {
  const merged: Record<string, unknown> = { ...old };
  for (const field of ownedFields) delete merged[field];
  Object.assign(merged, next);
  // A final phase stays: a later status with less information must not revive a pod.
  if (isOver(old?.phase) && old?.phase !== next.phase) merged["phase"] = old?.phase;
  if (old?.startTime) merged["startTime"] = old.startTime;
  const before = old?.conditions ?? [];
  const mine = (next.conditions ?? []).map((condition): PodCondition => {
    const same = before.find(({ type }) => type === condition.type);
    return withTransitionTime(same, condition, now);
  });
  const written = new Set(mine.map(({ type }) => type));
  const others = before.filter(({ type }) => !ownsCondition(type) && !written.has(type));
  const conditions = [...mine, ...others];
  if (conditions.length > 0) merged["conditions"] = conditions;
  else delete merged["conditions"];
  return merged as PodStatus;
}

/**
 * The status to write over the stored one, as `mergeStatus` makes it. Undefined when the API would store what it has:
 * it leaves out what Go's types do, such as empty maps, and writes quantities in their canonical form.
 */
export function statusToWrite(old: PodStatus | undefined, next: PodStatus, now: number): PodStatus | undefined {
  const merged = mergeStatus(old, next, now);
  if (deepEqual(merged, old ?? {})) return undefined;
  const { object } = decode(pods.shape, { status: merged as unknown as Json });
  return deepEqual(object["status"], old ?? {}) ? undefined : merged;
}
