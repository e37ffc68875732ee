import type { Deployment } from "#api";
import { rolloutLimits } from "#controllers/workload";

/** The limits of a rolling update for the desired replicas; zero for a deployment that recreates its pods. */
function limitsOf({ spec }: Deployment): { surge: number; unavailable: number } {
  if (spec?.strategy?.type === "Recreate") return { surge: 0, unavailable: 0 };
  return rolloutLimits(
    { maxSurge: "25%", maxUnavailable: "25%", ...spec?.strategy?.rollingUpdate },
    spec?.replicas ?? 1,
  );
}

export const maxSurge = (deployment: Deployment): number => limitsOf(deployment).surge;

/** How many of the desired replicas may be unavailable (upstream's MaxUnavailable). */
export const maxUnavailable = (deployment: Deployment): number =>
  Math.min(limitsOf(deployment).unavailable, deployment.spec?.replicas ?? 1);
