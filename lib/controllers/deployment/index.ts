/** Rolls ReplicaSets under a Deployment from one template to the next (upstream's deployment controller). */
import {
  type Deployment,
  deployments,
  matches,
  type Pod,
  pods,
  type ReplicaSet,
  replicaSets,
  requirementsOf,
} from "#api";
import type { Client } from "#client";
import { type ControllerContext, defineController, type Key, type Result, watching } from "#reconcile";
import { claim, controllerOf, ignoring } from "../ownership.ts";
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
  // A deployment that recreates waits for the last old pod to go.
  watches: [
    watching<ReplicaSet>(replicaSets, ({ object }, { client }) => adopters(client, object)),
    watching<Pod>(pods, async ({ type, object }, { client }) => {
      if (type !== "DELETED") return [];
      const owner = controllerOf(object);
      if (owner?.kind !== replicaSets.kind) return [];
      const set = await ignoring(
        ["NotFound"],
        client.get(replicaSets, { namespace: object.metadata.namespace, name: owner.name }),
      );
      const above = set && controllerOf(set);
      return above?.kind === deployments.kind ? [{ namespace: object.metadata.namespace, name: above.name }] : [];
    }),
  ],
  reconcile,
});

/** The deployments that may want to adopt a set which nobody controls. */
async function adopters(client: Client, set: ReplicaSet): Promise<Key[]> {
  const { namespace, labels, deletionTimestamp } = set.metadata;
  if (deletionTimestamp || controllerOf(set) || !labels) return [];
  const { items } = await client.list(deployments, { namespace });
  return items
    .filter(({ spec }) => spec?.selector && matches(requirementsOf(spec.selector), labels))
    .map(({ metadata }) => ({ namespace, name: metadata.name ?? "" }));
}

async function reconcile(context: ControllerContext, key: Key): Promise<Result | undefined> {
  const { client } = context;
  const deployment = await ignoring(["NotFound"], client.get(deployments, key));
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
