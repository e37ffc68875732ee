import { type Deployment, type DeploymentCondition, deployments, findCondition, type ReplicaSet } from "#api";
import { deepEqual, formatTime, ignoreReasons, parseTime } from "#base";
import { nonZero } from "#controllers/workload";
import type { Result } from "#reconcile";
import { type ConditionUpdate, condition, hasDeadline } from "./conditions.ts";
import { maxUnavailable } from "./limits.ts";
import type { Found, Rollout } from "./new-replica-set.ts";
import { replicasOf } from "./scale.ts";

type Status = NonNullable<Deployment["status"]>;

const sum = (sets: readonly ReplicaSet[], field: "replicas" | "readyReplicas" | "availableReplicas"): number =>
  sets.reduce((total, set) => total + (set.status?.[field] ?? 0), 0);

/**
 * Terminating pods of all sets; absent while an observed set does not report its own count (upstream's
 * GetTerminatingReplicaCountForReplicaSets). Unlike the other counts it is written when it is zero.
 */
function terminating(sets: readonly ReplicaSet[]): Pick<Status, "terminatingReplicas"> {
  const isSilent = ({ status }: ReplicaSet): boolean =>
    Boolean(Number(status?.observedGeneration ?? 0)) && status?.terminatingReplicas === undefined;
  if (sets.some(isSilent)) return {};
  return { terminatingReplicas: sets.reduce((total, { status }) => total + (status?.terminatingReplicas ?? 0), 0) };
}

/** Whether all desired replicas are new and available and no old pod is left. */
export function isComplete({ spec, metadata, status }: Deployment, { set, old }: Found): boolean {
  const wanted = spec?.replicas ?? 1;
  return (
    (set?.status?.replicas ?? 0) === wanted &&
    (set?.status?.availableReplicas ?? 0) === wanted &&
    old.every((each) => (each.status?.replicas ?? 0) === 0) &&
    Number(status?.observedGeneration ?? 0) >= Number(metadata.generation ?? 0)
  );
}

interface Writing {
  found: Found;
  /** `counts`: nothing is rolled out, so the Progressing condition stays (upstream's syncDeploymentStatus). */
  only?: "counts" | undefined;
}

/** Writes the status computed from the sets, if it differs. Returns when the progress deadline must be checked. */
export async function writeStatus(
  { context, deployment, sets }: Rollout,
  { found, only }: Writing,
): Promise<Result | undefined> {
  const now = context.clock.now();
  // The sets that were read, with the newest as this reconcile has updated it.
  const seen = [
    ...sets.filter((set) => set.metadata.uid !== found.set?.metadata.uid),
    ...(found.set ? [found.set] : []),
  ];
  const available = sum(seen, "availableReplicas");
  const { conditions: _before, ...rest } = deployment.status ?? {};
  const status: Status = {
    observedGeneration: Number(deployment.metadata.generation ?? 0),
    ...nonZero("replicas", sum(seen, "replicas")),
    ...nonZero("updatedReplicas", found.set?.status?.replicas ?? 0),
    ...nonZero("readyReplicas", sum(seen, "readyReplicas")),
    ...nonZero("availableReplicas", available),
    ...nonZero("unavailableReplicas", Math.max(0, replicasOf(seen) - available)),
    ...terminating(seen),
    ...(rest.collisionCount === undefined ? {} : { collisionCount: rest.collisionCount }),
  };
  status.conditions = conditions({ deployment, found, status, now, only });
  if (!deepEqual(status, deployment.status)) {
    await ignoreReasons(
      ["NotFound", "Conflict"],
      context.client.update(deployments, { ...deployment, status }, { subresource: "status" }),
    );
  }
  return only ? undefined : nextLook(deployment, status, now);
}

/** When the deadline passes; undefined for a complete rollout and one that has timed out. */
function nextLook(deployment: Deployment, status: Status, now: number): Result | undefined {
  const progress = findCondition(status.conditions, "Progressing");
  if (!hasDeadline(deployment) || !progress) return undefined;
  if (isDone(deployment, status) || progress.reason === timedOut || progress.reason === finished) return undefined;
  // A second more, since times in conditions have no fraction.
  return { requeueAfter: Math.max(1000, deadlineOf(deployment, progress, now) + 1000 - now) };
}

const deadlineOf = ({ spec }: Deployment, { lastUpdateTime }: DeploymentCondition, now: number): number =>
  (lastUpdateTime === undefined ? now : parseTime(lastUpdateTime)) + (spec?.progressDeadlineSeconds ?? 0) * 1000;

const finished = "NewReplicaSetAvailable";
const timedOut = "ProgressDeadlineExceeded";
const paused = "DeploymentPaused";

/** What the conditions are computed from. */
interface Observation extends Writing {
  /** With the stored status. */
  deployment: Deployment;
  /** The computed counts. */
  status: Status;
  /** Milliseconds since the epoch. */
  now: number;
}

function conditions(observation: Observation): DeploymentCondition[] {
  const { deployment, found, status, now, only } = observation;
  const before = deployment.status?.conditions ?? [];
  const of = (type: string) => findCondition(before, type);
  const enough = (status.availableReplicas ?? 0) >= (deployment.spec?.replicas ?? 1) - maxUnavailable(deployment);
  const available = enough
    ? { status: "True", reason: "MinimumReplicasAvailable", message: "Deployment has minimum availability." }
    : {
        status: "False",
        reason: "MinimumReplicasUnavailable",
        message: "Deployment does not have minimum availability.",
      };
  const progress = progressing(observation);
  const failed = only ? of("ReplicaFailure") : failure(found, of("ReplicaFailure"), now);
  return [
    condition("Available", available, of("Available"), now),
    ...(progress ? [progress] : []),
    ...(failed ? [failed] : []),
  ];
}

/** The failure of a set to create pods; that of the newest set first. */
function failure(
  { set, old }: Found,
  before: DeploymentCondition | undefined,
  now: number,
): DeploymentCondition | undefined {
  const found = [set, ...old]
    .flatMap((each) => each?.status?.conditions ?? [])
    .find(({ type }) => type === "ReplicaFailure");
  if (!found) return undefined;
  const { status, reason = "", message = "" } = found;
  return condition("ReplicaFailure", { status, reason, message }, before, now);
}

const isDone = ({ spec }: Deployment, status: Status): boolean => {
  const wanted = spec?.replicas ?? 1;
  return [status.updatedReplicas, status.replicas, status.availableReplicas].every((count = 0) => count === wanted);
};

/** The Progressing condition, in upstream's steps. */
function progressing({ deployment, found, status, now, only }: Observation): DeploymentCondition | undefined {
  if (!hasDeadline(deployment)) return undefined;
  const stored = findCondition(deployment.status?.conditions, "Progressing");
  const update = (reason: string, message: string, value = "True"): DeploymentCondition =>
    condition("Progressing", { status: value, reason, message }, stored, now);
  if (deployment.spec?.paused && stored?.reason !== timedOut) return update(paused, "Deployment is paused", "Unknown");
  if (stored?.reason === paused) return update("DeploymentResumed", "Deployment is resumed", "Unknown");
  const before = found.event ? condition("Progressing", found.event as ConditionUpdate, stored, now) : stored;
  // A complete rollout stays complete while its pods are replaced.
  const settled = (status.replicas ?? 0) === (status.updatedReplicas ?? 0) && before?.reason === finished;
  if (only || settled) return before;
  const name = found.set?.metadata.name ?? deployment.metadata.name;
  const subject = found.set ? `ReplicaSet "${name}"` : `Deployment "${name}"`;
  if (isDone(deployment, status)) return update(finished, `${subject} has successfully progressed.`);
  if (hasMoved(deployment.status ?? {}, status)) {
    const next = update("ReplicaSetUpdated", `${subject} is progressing.`);
    return { ...next, message: `${subject} is progressing.`, lastUpdateTime: formatTime(now) };
  }
  const late = before && before.reason !== finished && deadlineOf(deployment, before, now) < now;
  if (late) return update(timedOut, `${subject} has timed out progressing.`, "False");
  return before;
}

/** Whether pods were created, deleted or became ready since the status was written. */
function hasMoved(was: Status, is: Status): boolean {
  const old = ({ replicas = 0, updatedReplicas = 0 }: Status): number => replicas - updatedReplicas;
  return (
    (is.updatedReplicas ?? 0) > (was.updatedReplicas ?? 0) ||
    old(is) < old(was) ||
    (is.readyReplicas ?? 0) > (was.readyReplicas ?? 0) ||
    (is.availableReplicas ?? 0) > (was.availableReplicas ?? 0)
  );
}
