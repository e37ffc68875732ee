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

/** The revision of a set; 0 where it is missing or malformed (upstream's MaxRevision ignores the latter). */
export const revisionOf = ({ metadata }: ReplicaSet): bigint =>
  parseRevision(metadata.annotations?.[annotations.revision] ?? "0") ?? 0n;

/** The longest history of revisions, in characters; upstream's limit. */
const longestHistory = 2000;

/**
 * Sets the revision and the deployment's annotations on a set, which is modified. Returns whether anything changed. The
 * replicas that the set was last scaled for are not touched: only scaling may write them, or a change of size during a
 * rollout would go unnoticed.
 */
export function setAnnotations(deployment: Deployment, set: ReplicaSet, revision: bigint): boolean {
  const before = set.metadata.annotations ?? {};
  const now: Record<string, string> = { ...before };
  for (const [key, value] of Object.entries(deployment.metadata.annotations ?? {})) if (!own.has(key)) now[key] = value;
  const known = now[annotations.revision];
  const current = parseRevision(known || "0");
  // As upstream, a set whose revision is malformed is left alone.
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

/** The desired replicas when a set was last scaled: a difference means that the deployment is being scaled. */
export function replicasAnnotations(deployment: Deployment): Record<string, string> {
  const wanted = deployment.spec?.replicas ?? 1;
  return { [annotations.desired]: String(wanted), [annotations.most]: String(wanted + maxSurge(deployment)) };
}
