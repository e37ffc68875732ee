/** Rolls ReplicaSets under a Deployment from one template to the next (upstream's deployment controller). */

import {
  controllerOf,
  type Deployment,
  deployments,
  type Pod,
  pods,
  type ReplicaSet,
  replicaSets,
  requirementsOf,
} from "#api";
import { ignoreNotFound } from "#base";
import { adoptersOf, claim } from "#controllers/workload";
import { type ControllerContext, defineController, type Key, type Result, watching } from "#reconcile";
import { cleanUp } from "./clean-up.ts";
import { newReplicaSet, type Rollout } from "./new-replica-set.ts";
import { recreate } from "./recreate.ts";
import { rollingUpdate } from "./rolling-update.ts";
import { isScaling, scaleProportionally } from "./scale.ts";
import { writeStatus } from "./status.ts";

export const deploymentController = defineController<Deployment>({
  name: "deployment",
  for: deployments,
  owns: [replicaSets],
  // A deployment with the Recreate strategy waits for the last old pod to be deleted.
  watches: [
    watching<ReplicaSet>(replicaSets, ({ object }, { client }) => adoptersOf(client, deployments, object)),
    watching<Pod>(pods, async ({ type, object }, { client }) => {
      if (type !== "DELETED") return [];
      const owner = controllerOf(object);
      if (owner?.kind !== replicaSets.kind) return [];
      const set = await ignoreNotFound(
        client.get(replicaSets, { namespace: object.metadata.namespace, name: owner.name }),
      );
      const above = set && controllerOf(set);
      return above?.kind === deployments.kind ? [{ namespace: object.metadata.namespace, name: above.name }] : [];
    }),
  ],
  reconcile,
});

async function reconcile(context: ControllerContext, key: Key): Promise<Result | undefined> {
  const { client } = context;
  const deployment = await ignoreNotFound(client.get(deployments, key));
  if (!deployment?.spec) return undefined;
  const selector = requirementsOf(deployment.spec.selector ?? {});
  if (selector.length === 0) {
    context.record(
      { kind: deployments, object: deployment },
      "Warning",
      "SelectingAll",
      "This deployment is selecting all pods. A non-empty selector is required.",
    );
    return undefined;
  }
  const sets = await claim<ReplicaSet>({
    client,
    kind: deployments,
    owner: deployment,
    dependents: replicaSets,
    selector,
  });
  const rollout: Rollout = { context, deployment, sets };
  if (deployment.metadata.deletionTimestamp) {
    await writeStatus(rollout, { found: await newReplicaSet(rollout, false), only: "counts" });
    return undefined;
  }
  if (deployment.spec.paused || isScaling(rollout)) {
    const found = await newReplicaSet(rollout, false);
    await scaleProportionally(rollout, found.set);
    if (deployment.spec.paused && found.old.length > 0) await cleanUp(rollout, found);
    await writeStatus(rollout, { found, only: "counts" });
    return undefined;
  }
  if (deployment.spec.strategy?.type === "Recreate") return recreate(rollout);
  return rollingUpdate(rollout);
}
