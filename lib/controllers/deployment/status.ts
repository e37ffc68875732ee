import { type Deployment, type DeploymentCondition, deployment as deployments, type ReplicaSet } from "#api";
import { deepEqual, formatTime } from "#base";
import { ignoring } from "../ownership.ts";
import { maxUnavailable } from "./limits.ts";
import type { Found, Rollout } from "./new-replica-set.ts";

type Status = NonNullable<Deployment["status"]>;

const sum = (
  sets: readonly ReplicaSet[],
  field: "replicas" | "readyReplicas" | "availableReplicas" | "terminatingReplicas",
): number => sets.reduce((total, set) => total + (set.status?.[field] ?? 0), 0);

/** Whether every wanted replica is new and available and nothing old is left. */
export function isComplete({ spec, metadata, status }: Deployment, { set, old }: Found): boolean {
  const wanted = spec?.replicas ?? 1;
  return (
    (set?.status?.replicas ?? 0) === wanted &&
    (set?.status?.availableReplicas ?? 0) === wanted &&
    old.every((each) => (each.status?.replicas ?? 0) === 0) &&
    Number(status?.observedGeneration ?? 0) >= Number(metadata.generation ?? 0)
  );
}

/** Writes the status as the sets show it, if it differs. */
export async function writeStatus({ context, deployment, sets }: Rollout, { found }: { found: Found }): Promise<void> {
  const now = formatTime(context.clock.now());
  // The sets that were read, with the newest as it stands after this look.
  const seen = [
    ...sets.filter((set) => set.metadata.uid !== found.set?.metadata.uid),
    ...(found.set ? [found.set] : []),
  ];
  const wanted = deployment.spec?.replicas ?? 1;
  const total = replicasOf(seen);
  const available = sum(seen, "availableReplicas");
  const ready = sum(seen, "readyReplicas");
  const terminating = sum(seen, "terminatingReplicas");
  const updated = found.set?.status?.replicas ?? 0;
  const unavailable = Math.max(0, total - available);
  const status: Status = {
    observedGeneration: Number(deployment.metadata.generation ?? 0),
    ...nonZero("replicas", sum(seen, "replicas")),
    ...nonZero("updatedReplicas", updated),
    ...nonZero("readyReplicas", ready),
    ...nonZero("availableReplicas", available),
    ...nonZero("unavailableReplicas", unavailable),
    ...nonZero("terminatingReplicas", terminating),
    ...(deployment.status?.collisionCount === undefined ? {} : { collisionCount: deployment.status.collisionCount }),
    conditions: conditions(deployment, found, available >= wanted - maxUnavailable(deployment), now, {
      updated,
      total: sum(seen, "replicas"),
      available,
      ready,
    }),
  };
  if (deepEqual(status, deployment.status)) return;
  await ignoring(
    ["NotFound", "Conflict"],
    context.client.update(deployments, { ...deployment, status }, { subresource: "status" }),
  );
}

const replicasOf = (sets: readonly ReplicaSet[]): number =>
  sets.reduce((total, set) => total + (set.spec?.replicas ?? 0), 0);
const nonZero = <K extends string>(name: K, value: number) =>
  value === 0 ? {} : ({ [name]: value } as Record<K, number>);

interface Counts {
  updated: number;
  total: number;
  available: number;
  ready: number;
}

function conditions(
  deployment: Deployment,
  found: Found,
  enough: boolean,
  now: string,
  counts: Counts,
): DeploymentCondition[] {
  const before = deployment.status?.conditions ?? [];
  const of = (type: string) => before.find((condition) => condition.type === type);
  const available = enough
    ? { status: "True", reason: "MinimumReplicasAvailable", message: "Deployment has minimum availability." }
    : {
        status: "False",
        reason: "MinimumReplicasUnavailable",
        message: "Deployment does not have minimum availability.",
      };
  const result = [
    condition("Available", available, of("Available"), now),
    ...progressing(deployment, found, of("Progressing"), now, counts),
  ];
  const failure = [found.set, ...found.old]
    .flatMap((set) => set?.status?.conditions ?? [])
    .find(({ type }) => type === "ReplicaFailure");
  if (failure) {
    const { status, reason, message } = failure;
    result.push(
      condition("ReplicaFailure", { status, reason: reason ?? "", message: message ?? "" }, of("ReplicaFailure"), now),
    );
  }
  return result;
}

type Told = Pick<DeploymentCondition, "status" | "reason" | "message">;

/** A condition; the times move only with what they tell. */
function condition(
  type: string,
  told: Told,
  before: DeploymentCondition | undefined,
  now: string,
): DeploymentCondition {
  const same = before?.status === told.status && before.reason === told.reason;
  if (before && same && before.message === told.message) return before;
  return {
    type,
    ...told,
    lastUpdateTime: same ? (before?.lastUpdateTime ?? now) : now,
    lastTransitionTime: before?.status === told.status ? (before.lastTransitionTime ?? now) : now,
  };
}

/** How the rollout goes; the deadline that would turn it False is not watched. */
function progressing(
  deployment: Deployment,
  found: Found,
  before: DeploymentCondition | undefined,
  now: string,
  counts: Counts,
): DeploymentCondition[] {
  const name = found.set?.metadata.name ?? deployment.metadata.name;
  const subject = found.set ? `ReplicaSet "${name}"` : `Deployment "${name}"`;
  const told = (reason: string, message: string, status = "True"): DeploymentCondition[] => [
    condition("Progressing", { status, reason, message }, before, now),
  ];
  if (deployment.spec?.paused) {
    if (before?.reason === "DeploymentPaused") return [before];
    return told("DeploymentPaused", "Deployment is paused", "Unknown");
  }
  if (before?.reason === "DeploymentPaused") return told("DeploymentResumed", "Deployment is resumed", "Unknown");
  const wanted = deployment.spec?.replicas ?? 1;
  const complete = counts.updated === wanted && counts.total === wanted && counts.available >= wanted;
  if (complete) return told("NewReplicaSetAvailable", `${subject} has successfully progressed.`);
  if (found.event) return [condition("Progressing", found.event as Told, before, now)];
  const was = deployment.status ?? {};
  const moved =
    counts.updated > (was.updatedReplicas ?? 0) ||
    counts.total - counts.updated < (was.replicas ?? 0) - (was.updatedReplicas ?? 0) ||
    counts.ready > (was.readyReplicas ?? 0) ||
    counts.available > (was.availableReplicas ?? 0);
  if (moved || before?.reason === "NewReplicaSetAvailable") {
    const next = condition(
      "Progressing",
      { status: "True", reason: "ReplicaSetUpdated", message: `${subject} is progressing.` },
      before,
      now,
    );
    return [{ ...next, lastUpdateTime: now }];
  }
  return before ? [before] : told("ReplicaSetUpdated", `${subject} is progressing.`);
}
