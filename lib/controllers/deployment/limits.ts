import type { Deployment } from "#api";

/** A count or a share of the replicas, rounded as told. */
function resolve(value: number | string | undefined, replicas: number, round: (value: number) => number): number {
  if (typeof value === "string" && value.endsWith("%")) return round((Number(value.slice(0, -1)) * replicas) / 100);
  return Number(value ?? 0);
}

export const maxSurge = ({ spec }: Deployment): number =>
  spec?.strategy?.type === "Recreate"
    ? 0
    : resolve(spec?.strategy?.rollingUpdate?.maxSurge ?? "25%", spec?.replicas ?? 1, Math.ceil);

/** How many of the wanted replicas may be missing. Where both limits resolve to 0, one may, or nothing could ever move. */
export function maxUnavailable(deployment: Deployment): number {
  const { spec } = deployment;
  const replicas = spec?.replicas ?? 1;
  if (spec?.strategy?.type === "Recreate" || replicas === 0) return 0;
  const most = resolve(spec?.strategy?.rollingUpdate?.maxUnavailable ?? "25%", replicas, Math.floor);
  if (most === 0 && maxSurge(deployment) === 0) return 1;
  return Math.min(most, replicas);
}
