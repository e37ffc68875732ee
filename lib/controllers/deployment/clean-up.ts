import { replicaSets } from "#api";
import { ignoreReasons } from "#base";
import { beyondHistory } from "#controllers/workload";
import { revisionOf } from "./annotations.ts";
import type { Found, Rollout } from "./new-replica-set.ts";

/** Deletes old sets beyond revisionHistoryLimit, lowest revision first; sets that still have pods are kept. */
export async function cleanUp({ context, deployment }: Rollout, { old }: Found): Promise<void> {
  const limit = deployment.spec?.revisionHistoryLimit;
  if (limit === undefined) return;
  const alive = old.filter(({ metadata }) => !metadata.deletionTimestamp);
  for (const set of beyondHistory(alive, limit, revisionOf)) {
    const { status, spec, metadata } = set;
    const observed = Number(status?.observedGeneration ?? 0) >= Number(metadata.generation ?? 0);
    if ((status?.replicas ?? 0) !== 0 || (spec?.replicas ?? 0) !== 0 || !observed) continue;
    const { namespace, name = "", uid } = metadata;
    await ignoreReasons(["NotFound", "Conflict"], context.client.delete(replicaSets, { namespace, name }, { uid }));
  }
}
