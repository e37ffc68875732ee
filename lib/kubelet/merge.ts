import type { PodCondition, PodStatus } from "#api";
import { formatTime } from "#base";
import { isOver } from "./phase.ts";

/** Conditions that a kubelet owns; all others have other writers and stay. */
const ownedConditions = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"];
/** Whether a condition of a pod is the kubelet's. */
export const ownsCondition = (type: string): boolean => ownedConditions.includes(type);

/** Fields that a kubelet owns: they go when it no longer reports them. All others have other writers and stay. */
const ownedFields = [
  ...["phase", "message", "reason", "hostIP", "hostIPs", "podIP", "podIPs", "startTime", "qosClass"],
  ...["observedGeneration", "containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"],
] as const;

/**
 * The status to write: the new one over the stored one. A condition keeps its transition time until its status changes,
 * a pod its start time, and a phase that is an end stays. `now` is in milliseconds since the epoch.
 */
export function mergeStatus(old: PodStatus | undefined, next: PodStatus, now: number): PodStatus {
  const merged: Record<string, unknown> = { ...old };
  for (const field of ownedFields) delete merged[field];
  Object.assign(merged, next);
  // An end is an end: a later look that sees less must not bring a pod back.
  if (isOver(old?.phase) && old?.phase !== next.phase) merged["phase"] = old?.phase;
  if (old?.startTime) merged["startTime"] = old.startTime;
  const before = old?.conditions ?? [];
  const mine = (next.conditions ?? []).map((condition): PodCondition => {
    const same = before.find(({ type }) => type === condition.type);
    const since = same?.status === condition.status ? same.lastTransitionTime : undefined;
    return { ...condition, lastTransitionTime: since ?? formatTime(now) };
  });
  const written = new Set(mine.map(({ type }) => type));
  const others = before.filter(({ type }) => !ownsCondition(type) && !written.has(type));
  const conditions = [...mine, ...others];
  if (conditions.length > 0) merged["conditions"] = conditions;
  else delete merged["conditions"];
  return merged as PodStatus;
}
