import type { Deployment, ReplicaSet } from "#api";
import { deepEqual } from "#base";
import { parseRevision } from "#controllers/workload";
import { maxSurge } from "./limits.ts";

export const hashLabel = "pod-template-hash";

export const annotations = {
  revision: "deployment.kubernetes.io/revision",
  history: "deployment.kubernetes.io/revision-history",
  desired: "deployment.kubernetes.io/desired-replicas",
  most: "deployment.kubernetes.io/max-replicas",
} as const;

/** Annotations of a deployment that its sets do not inherit. */
const own = new Set<string>([
  "kubectl.kubernetes.io/last-applied-configuration",
  ...Object.values(annotations),
  "deprecated.deployment.rollback.to",
]);

/** The revision of a set, 0 where it has none or nonsense (upstream's MaxRevision passes over the latter). */
export const revisionOf = ({ metadata }: ReplicaSet): bigint =>
  parseRevision(metadata.annotations?.[annotations.revision] ?? "0") ?? 0n;

/** The longest history of revisions, in characters, as upstream keeps it. */
const longestHistory = 2000;

/**
 * Gives a set its revision and the deployment's annotations; says whether anything changed. Changes the set. What it
 * was last scaled for is not touched: only scaling may say so, or a change of size in a rollout would go unnoticed.
 */
export function setAnnotations(deployment: Deployment, set: ReplicaSet, revision: bigint): boolean {
  const before = set.metadata.annotations ?? {};
  const now: Record<string, string> = { ...before };
  for (const [key, value] of Object.entries(deployment.metadata.annotations ?? {})) if (!own.has(key)) now[key] = value;
  const known = now[annotations.revision];
  const current = parseRevision(known || "0");
  // Upstream leaves a set alone whose revision is no number.
  if (current === undefined) return false;
  if (known === undefined || current < revision) {
    if (known !== undefined) {
      const history = [...(now[annotations.history]?.split(",").filter((part) => part !== "") ?? []), known];
      while (history.join(",").length > longestHistory) history.shift();
      now[annotations.history] = history.join(",");
    }
    now[annotations.revision] = String(revision);
  }
  set.metadata.annotations = now;
  return !deepEqual(now, before);
}

/** What was wanted when a set was scaled last: a difference means that the deployment itself is being scaled. */
export function replicasAnnotations(deployment: Deployment): Record<string, string> {
  const wanted = deployment.spec?.replicas ?? 1;
  return { [annotations.desired]: String(wanted), [annotations.most]: String(wanted + maxSurge(deployment)) };
}
