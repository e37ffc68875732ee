import { hasEnded, type Pod, pods } from "#api";
import type { Result } from "#reconcile";
import { cleanUp } from "./clean-up.ts";
import { type Found, newReplicaSet, type Rollout } from "./new-replica-set.ts";
import { isActiveSet, scaleSet } from "./scale.ts";
import { isComplete, writeStatus } from "./status.ts";

/** Deletes all old pods before the new set gets any. */
export async function recreate(rollout: Rollout): Promise<Result | undefined> {
  let found = await newReplicaSet(rollout, false);
  const active = found.old.filter(isActiveSet);
  if (active.length > 0) {
    for (const set of active) await scaleSet(rollout, set, 0);
    return writeStatus(rollout, { found });
  }
  if (await oldPodsRun(rollout, found)) {
    return writeStatus(rollout, { found });
  }
  if (!found.set) found = await newReplicaSet(rollout, true);
  if (found.set) found = { ...found, set: await scaleSet(rollout, found.set, rollout.deployment.spec?.replicas ?? 1) };
  if (isComplete(rollout.deployment, found)) await cleanUp(rollout, found);
  return writeStatus(rollout, { found });
}

/** Whether a pod of an old set has not ended yet, terminating ones included. */
async function oldPodsRun({ context, deployment }: Rollout, { old }: Found): Promise<boolean> {
  const { namespace } = deployment.metadata;
  for (const set of old) {
    const { items } = await context.client.list<Pod>(pods, { namespace, owner: set.metadata.uid ?? "" });
    if (!items.every(hasEnded)) return true;
  }
  return false;
}
