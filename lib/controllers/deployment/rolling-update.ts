import type { ReplicaSet } from "#api";
import type { Result } from "#reconcile";
import { cleanUp } from "./clean-up.ts";
import { maxUnavailable } from "./limits.ts";
import { byAge, type Found, newReplicaSet, newReplicas, type Rollout } from "./new-replica-set.ts";
import { isActiveSet, replicasOf, scaleSet } from "./scale.ts";
import { isComplete, writeStatus } from "./status.ts";

/**
 * One step of a rolling update: scales up, else down. Pods that become available or are deleted trigger the next step.
 */
export async function rollingUpdate(rollout: Rollout): Promise<Result | undefined> {
  const found = await newReplicaSet(rollout, true);
  const up = await scaleUp(rollout, found);
  if (up) {
    return writeStatus(rollout, { found: { ...found, set: up } });
  }
  const down = await scaleDown(rollout, found);
  if (!down && isComplete(rollout.deployment, found)) await cleanUp(rollout, found);
  return writeStatus(rollout, { found });
}

async function scaleUp(rollout: Rollout, { set, old }: Found): Promise<ReplicaSet | undefined> {
  if (!set) return undefined;
  const wanted = rollout.deployment.spec?.replicas ?? 1;
  const current = set.spec?.replicas ?? 0;
  if (current === wanted) return undefined;
  const replicas = current > wanted ? wanted : newReplicas(rollout, old, set);
  return replicas === current ? undefined : scaleSet(rollout, set, replicas);
}

/** Scales old sets down while enough pods stay available, unhealthy pods first. */
async function scaleDown(rollout: Rollout, { set, old }: Found): Promise<boolean> {
  const active = old.filter(isActiveSet);
  const standing = replicasOf(active);
  if (standing === 0 || !set) return false;
  const { deployment } = rollout;
  const wanted = deployment.spec?.replicas ?? 1;
  const fewest = wanted - maxUnavailable(deployment);
  const all = [...active, set];
  const newUnavailable = (set.spec?.replicas ?? 0) - availableOf(set);
  const most = replicasOf(all) - fewest - newUnavailable;
  if (most <= 0) return false;
  const after = await dropUnhealthy(rollout, active, most);
  const available = after.reduce((sum, each) => sum + availableOf(each), 0) + availableOf(set);
  let left = available - fewest;
  let scaled = after.some((each, index) => each !== active[index]);
  for (const each of [...after].sort(byAge)) {
    if (left <= 0) break;
    const replicas = each.spec?.replicas ?? 0;
    const drop = Math.min(replicas, left);
    if (drop === 0) continue;
    await scaleSet(rollout, each, replicas - drop);
    left -= drop;
    scaled = true;
  }
  return scaled;
}

/**
 * Available pods that will stay: the status of a set that has just been scaled down still counts pods that are about to
 * be deleted.
 */
const availableOf = ({ spec, status }: ReplicaSet): number =>
  Math.min(status?.availableReplicas ?? 0, spec?.replicas ?? 0);

/** Removes pods of old sets that are not available first, since that does not reduce availability. */
async function dropUnhealthy(rollout: Rollout, active: readonly ReplicaSet[], most: number): Promise<ReplicaSet[]> {
  const after: ReplicaSet[] = [];
  let left = most;
  for (const set of active) {
    const replicas = set.spec?.replicas ?? 0;
    const unhealthy = replicas - availableOf(set);
    const drop = Math.max(0, Math.min(left, unhealthy));
    after.push(drop > 0 ? await scaleSet(rollout, set, replicas - drop) : set);
    left -= drop;
  }
  return after;
}
