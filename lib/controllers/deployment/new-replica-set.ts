import {
  controllerOf,
  controllerReference,
  type Deployment,
  type DeploymentCondition,
  deployments,
  type PodTemplateSpec,
  type ReplicaSet,
  replicaSets,
} from "#api";
import { clone, deepEqual, hasCause, ignoreNotFound, isReason, messageOf } from "#base";
import { nextRevision, templateHash } from "#controllers/workload";
import type { ControllerContext } from "#reconcile";
import { annotations, hashLabel, replicasAnnotations, revisionOf, setAnnotations } from "./annotations.ts";
import { hasDeadline, writeProgressing } from "./conditions.ts";
import { maxSurge } from "./limits.ts";

/** The state of one reconcile of a deployment; updated with each write of the reconcile. */
export interface Rollout {
  context: ControllerContext;
  deployment: Deployment;
  /** All ReplicaSets that the deployment controls. */
  sets: ReplicaSet[];
}

/** The set of the current template, and the others. */
export interface Found {
  set: ReplicaSet | undefined;
  /** Oldest first. */
  old: ReplicaSet[];
  /** What this reconcile did to the set. */
  event?: Pick<DeploymentCondition, "reason" | "message" | "status">;
}

const withoutHash = (template: PodTemplateSpec | undefined): PodTemplateSpec => {
  const copy = clone(template ?? ({} as PodTemplateSpec));
  const labels = copy.metadata?.labels;
  if (labels) delete labels[hashLabel];
  if (labels && Object.keys(labels).length === 0) delete copy.metadata!.labels;
  if (copy.metadata && Object.keys(copy.metadata).length === 0) delete copy.metadata;
  return copy;
};

/** Whether two templates describe the same pods; the pod-template-hash label is ignored. */
const sameTemplate = (a: PodTemplateSpec | undefined, b: PodTemplateSpec | undefined): boolean =>
  deepEqual(withoutHash(a), withoutHash(b));

/** Oldest first. */
export const byAge = (a: ReplicaSet, b: ReplicaSet): number => {
  const [left, right] = [a.metadata.creationTimestamp ?? "", b.metadata.creationTimestamp ?? ""];
  if (left !== right) return left < right ? -1 : 1;
  return (a.metadata.name ?? "") < (b.metadata.name ?? "") ? -1 : 1;
};

/**
 * Finds the set of the current template, creates it if `create` is true, and gives it the newest revision. Of several
 * equal sets the oldest is used, as upstream does.
 */
export async function newReplicaSet(rollout: Rollout, create: boolean): Promise<Found> {
  const { deployment, sets } = rollout;
  const sorted = [...sets].sort(byAge);
  const existing = sorted.find((set) => sameTemplate(set.spec?.template, deployment.spec?.template));
  const old = sorted.filter((set) => set !== existing);
  const revision = nextRevision(old.map(revisionOf));
  if (existing) {
    const set = await refresh(rollout, existing, revision);
    rollout.sets = sets.map((each) => (each === existing ? set : each));
    await markRevision(rollout, set);
    return { set, old, ...found(deployment, set) };
  }
  if (!create) return { set: undefined, old };
  return { old, ...(await make(rollout, old, revision)) };
}

/** The condition reports an existing set only once; a later reason is not overwritten. */
function found(deployment: Deployment, set: ReplicaSet): Pick<Found, "event"> {
  const progressing = deployment.status?.conditions?.some(({ type }) => type === "Progressing");
  if (progressing || !hasDeadline(deployment)) return {};
  return {
    event: { reason: "FoundNewReplicaSet", message: `Found new replica set "${set.metadata.name}"`, status: "True" },
  };
}

/** Updates the revision, the deployment's annotations and minReadySeconds of an existing set. */
async function refresh({ context, deployment }: Rollout, set: ReplicaSet, revision: bigint): Promise<ReplicaSet> {
  const next = clone(set);
  const changed = setAnnotations(deployment, next, revision);
  const minReadySeconds = deployment.spec?.minReadySeconds ?? 0;
  const sameWait = (next.spec?.minReadySeconds ?? 0) === minReadySeconds;
  if (!changed && sameWait) return set;
  next.spec!.minReadySeconds = minReadySeconds;
  return context.client.update(replicaSets, next);
}

/** Copies the revision of the set to the deployment. */
async function markRevision(rollout: Rollout, set: ReplicaSet): Promise<void> {
  const { context, deployment } = rollout;
  const revision = set.metadata.annotations?.[annotations.revision];
  if (revision === undefined || deployment.metadata.annotations?.[annotations.revision] === revision) return;
  const { namespace, name = "" } = deployment.metadata;
  const patch = { metadata: { annotations: { [annotations.revision]: revision } } };
  // Written through the status subresource: the annotation must not raise the deployment's generation.
  const how = { type: "merge", subresource: "status" } as const;
  const marked = await ignoreNotFound(context.client.patch(deployments, { namespace, name }, patch, how));
  // Later writes must be based on the generation that was read; a newer one is reconciled next.
  if (marked && marked.metadata.generation === deployment.metadata.generation) rollout.deployment = marked;
}

async function make(rollout: Rollout, old: ReplicaSet[], revision: bigint): Promise<Pick<Found, "set" | "event">> {
  const { context, deployment } = rollout;
  const hash = templateHash(deployment.spec!.template!, deployment.status?.collisionCount);
  const set = setOf(deployment, hash);
  set.spec!.replicas = newReplicas(rollout, old);
  setAnnotations(deployment, set, revision);
  Object.assign(set.metadata.annotations!, replicasAnnotations(deployment));
  const about = { kind: deployments, object: deployment };
  try {
    const made = await context.client.create(replicaSets, set);
    rollout.sets = [...rollout.sets, made];
    await markRevision(rollout, made);
    if (set.spec!.replicas! > 0) {
      const message = `Scaled up replica set ${made.metadata.name} from 0 to ${set.spec!.replicas}`;
      context.record(about, "Normal", "ScalingReplicaSet", message);
    }
    const event = {
      reason: "NewReplicaSetCreated",
      message: `Created new replica set "${made.metadata.name}"`,
      status: "True",
    };
    return { set: made, event };
  } catch (error) {
    if (isReason(error, "AlreadyExists")) return taken(rollout, set);
    if (hasCause(error, "NamespaceTerminating")) throw error;
    const message = `Failed to create new replica set "${set.metadata.name}": ${messageOf(error)}`;
    context.record(about, "Warning", "ReplicaSetCreateError", message);
    await writeProgressing(rollout, { status: "False", reason: "ReplicaSetCreateError", message });
    throw error;
  }
}

/** The name is in use: by this deployment before a crash, or by another template with the same hash. */
async function taken({ context, deployment }: Rollout, set: ReplicaSet): Promise<Pick<Found, "set" | "event">> {
  const { client } = context;
  const { namespace, name = "" } = set.metadata;
  const there = await client.get(replicaSets, { namespace, name });
  const own = controllerOf(there)?.uid === deployment.metadata.uid;
  if (own && sameTemplate(there.spec?.template, deployment.spec?.template)) return { set: there };
  const collisionCount = (deployment.status?.collisionCount ?? 0) + 1;
  await client.update(
    deployments,
    { ...deployment, status: { ...deployment.status, collisionCount } },
    { subresource: "status" },
  );
  throw new Error(`the name ${name} belongs to another template; the next attempt uses another hash`);
}

function setOf(deployment: Deployment, hash: string): ReplicaSet {
  const template = clone(deployment.spec!.template!);
  template.metadata = { ...template.metadata, labels: { ...template.metadata?.labels, [hashLabel]: hash } };
  const selector = clone(deployment.spec!.selector!);
  selector.matchLabels = { ...selector.matchLabels, [hashLabel]: hash };
  const { minReadySeconds } = deployment.spec!;
  return {
    metadata: {
      name: `${deployment.metadata.name}-${hash}`,
      namespace: deployment.metadata.namespace,
      labels: { ...template.metadata.labels },
      ownerReferences: [controllerReference(deployments, deployment)],
    },
    spec: { replicas: 0, selector, template, ...(minReadySeconds ? { minReadySeconds } : {}) },
  } as ReplicaSet;
}

/** How many replicas the new set may have beside the old ones (upstream's NewRSNewReplicas). */
export function newReplicas({ deployment }: Rollout, old: readonly ReplicaSet[], present?: ReplicaSet): number {
  const wanted = deployment.spec?.replicas ?? 1;
  if (deployment.spec?.strategy?.type === "Recreate") return wanted;
  const current = present?.spec?.replicas ?? 0;
  const total = old.reduce((sum, set) => sum + (set.spec?.replicas ?? 0), 0) + current;
  const most = wanted + maxSurge(deployment);
  if (total >= most) return current;
  return current + Math.min(most - total, wanted - current);
}
