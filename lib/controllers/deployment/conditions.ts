import { type Deployment, type DeploymentCondition, deployments, findCondition, withTransitionTime } from "#api";
import { formatTime, ignoreReasons } from "#base";
import type { ControllerContext } from "#reconcile";

/** What changes in a condition. */
export type ConditionUpdate = Pick<DeploymentCondition, "status" | "reason" | "message">;

/** Whether the rollout has a deadline: without one there is no Progressing condition (upstream's HasProgressDeadline). */
export const hasDeadline = ({ spec }: Deployment): boolean =>
  spec?.progressDeadlineSeconds !== undefined && spec.progressDeadlineSeconds !== 2 ** 31 - 1;

/**
 * The condition to write: `before` where status and reason stay the same, else `update` with `now` as lastUpdateTime
 * (upstream's SetDeploymentCondition). `now` in milliseconds since the epoch.
 */
export function condition(
  type: string,
  update: ConditionUpdate,
  before: DeploymentCondition | undefined,
  now: number,
): DeploymentCondition {
  if (before && before.status === update.status && before.reason === update.reason) return before;
  return withTransitionTime(before, { type, ...update, lastUpdateTime: formatTime(now) }, now);
}

/** Writes only the Progressing condition, where a reconcile ends before it has counted anything. */
export async function writeProgressing(
  { context, deployment }: { context: ControllerContext; deployment: Deployment },
  update: ConditionUpdate,
): Promise<void> {
  if (!hasDeadline(deployment)) return;
  const conditions = deployment.status?.conditions ?? [];
  const before = findCondition(conditions, "Progressing");
  const next = condition("Progressing", update, before, context.clock.now());
  if (next === before) return;
  const status = { ...deployment.status, conditions: [...conditions.filter((each) => each !== before), next] };
  await ignoreReasons(
    ["NotFound", "Conflict"],
    context.client.update(deployments, { ...deployment, status }, { subresource: "status" }),
  );
}
