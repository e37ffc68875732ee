import { deployments, type ReplicaSet, replicaSets } from "#api";
import { clone } from "#base";
import { annotations, replicasAnnotations } from "./annotations.ts";
import { maxSurge } from "./limits.ts";
import { byAge, type Rollout } from "./new-replica-set.ts";

export const replicasOf = (sets: readonly ReplicaSet[]): number =>
  sets.reduce((sum, set) => sum + (set.spec?.replicas ?? 0), 0);
export const isActiveSet = (set: ReplicaSet): boolean => (set.spec?.replicas ?? 0) > 0;

/** Whether the desired replicas differ from those that the sets were last scaled for. */
export const isScaling = ({ deployment, sets }: Rollout): boolean =>
  sets.filter(isActiveSet).some((set) => {
    const desired = set.metadata.annotations?.[annotations.desired];
    return desired !== undefined && Number(desired) !== (deployment.spec?.replicas ?? 1);
  });

/** Sets the replicas of a set and records an event. Returns the updated set. */
export async function scaleSet(
  { context, deployment }: Rollout,
  set: ReplicaSet,
  replicas: number,
): Promise<ReplicaSet> {
  const before = set.spec?.replicas ?? 0;
  const wanted = replicasAnnotations(deployment);
  const isCurrent = Object.entries(wanted).every(([key, value]) => set.metadata.annotations?.[key] === value);
  if (before === replicas && isCurrent) return set;
  const next = clone(set);
  next.spec!.replicas = replicas;
  next.metadata.annotations = { ...next.metadata.annotations, ...wanted };
  const scaled = await context.client.update(replicaSets, next);
  if (before !== replicas) {
    const message = `Scaled ${before < replicas ? "up" : "down"} replica set ${set.metadata.name} from ${before} to ${replicas}`;
    context.record({ kind: deployments, object: deployment }, "Normal", "ScalingReplicaSet", message);
  }
  return scaled;
}

/**
 * Scales during a rollout or while paused. A single active set takes all replicas; if the new set is complete, the
 * others are scaled to 0; otherwise each set gets its share (upstream's proportional scaling).
 */
export async function scaleProportionally(rollout: Rollout, newest: ReplicaSet | undefined): Promise<void> {
  const { deployment, sets } = rollout;
  const wanted = deployment.spec?.replicas ?? 1;
  const active = sets.filter(isActiveSet);
  const only = active.length === 1 ? active[0] : active.length === 0 ? (newest ?? latest(sets)) : undefined;
  if (only) {
    await scaleSet(rollout, only, wanted);
    return;
  }
  if (newest && isSaturated(rollout, newest)) {
    for (const set of active) if (set !== newest) await scaleSet(rollout, set, 0);
    return;
  }
  if (deployment.spec?.strategy?.type === "Recreate") return;
  const most = wanted > 0 ? wanted + maxSurge(deployment) : 0;
  await share(rollout, active, most);
}

const latest = (sets: readonly ReplicaSet[]): ReplicaSet | undefined => [...sets].sort(byAge).at(-1);

function isSaturated({ deployment }: Rollout, set: ReplicaSet): boolean {
  const wanted = deployment.spec?.replicas ?? 1;
  const desired = set.metadata.annotations?.[annotations.desired];
  return set.spec?.replicas === wanted && Number(desired) === wanted && (set.status?.availableReplicas ?? 0) === wanted;
}

/** Divides the replicas to add or remove by the size of each set; the rest of the rounding goes to the largest. */
async function share(rollout: Rollout, active: readonly ReplicaSet[], most: number): Promise<void> {
  const total = replicasOf(active);
  const toAdd = most - total;
  const bySize = [...active].sort((a, b) => {
    const difference = (b.spec?.replicas ?? 0) - (a.spec?.replicas ?? 0);
    if (difference !== 0) return difference;
    return toAdd > 0 ? byAge(b, a) : byAge(a, b);
  });
  let added = 0;
  const sizes = new Map<ReplicaSet, number>();
  for (const set of bySize) {
    const before = set.spec?.replicas ?? 0;
    const part = total === 0 ? 0 : fraction(rollout, set, toAdd, added);
    sizes.set(set, before + part);
    added += part;
  }
  const [largest] = bySize;
  if (largest) sizes.set(largest, Math.max(0, sizes.get(largest)! + toAdd - added));
  for (const [set, size] of sizes) await scaleSet(rollout, set, size);
}

function fraction({ deployment }: Rollout, set: ReplicaSet, toAdd: number, added: number): number {
  const before = set.spec?.replicas ?? 0;
  const wanted = deployment.spec?.replicas ?? 1;
  if (toAdd === added) return 0;
  if (wanted === 0) return -before;
  // Without the annotation, the current replicas are used.
  const most = Number(set.metadata.annotations?.[annotations.most] ?? 0) || (deployment.status?.replicas ?? 0);
  if (most === 0) return 0;
  const size = (before * (wanted + maxSurge(deployment))) / most;
  const part = Math.round(size) - before;
  const left = toAdd - added;
  return toAdd > 0 ? Math.min(part, left) : Math.max(part, left);
}
