import type { Deployment, ReplicaSet } from "#api";
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

export const revisionOf = ({ metadata }: ReplicaSet): number =>
  Number(metadata.annotations?.[annotations.revision] ?? 0) || 0;

/** Gives a set its revision and the deployment's annotations; says whether anything changed. Changes the set. */
export function setAnnotations(deployment: Deployment, set: ReplicaSet, revision: string): boolean {
  const now: Record<string, string> = { ...set.metadata.annotations };
  const before = JSON.stringify(Object.entries(now).sort());
  for (const [key, value] of Object.entries(deployment.metadata.annotations ?? {})) if (!own.has(key)) now[key] = value;
  const known = now[annotations.revision];
  if (known === undefined || Number(known) < Number(revision)) {
    if (known !== undefined) {
      now[annotations.history] = [...(now[annotations.history]?.split(",") ?? []), known].join(",");
    }
    now[annotations.revision] = revision;
  }
  Object.assign(now, replicasAnnotations(deployment));
  set.metadata.annotations = now;
  return JSON.stringify(Object.entries(now).sort()) !== before;
}

/** What was wanted when a set was scaled last: a difference means that the deployment itself is being scaled. */
export function replicasAnnotations(deployment: Deployment): Record<string, string> {
  const wanted = deployment.spec?.replicas ?? 1;
  return { [annotations.desired]: String(wanted), [annotations.most]: String(wanted + maxSurge(deployment)) };
}
